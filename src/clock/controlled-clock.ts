import type { Env } from '../base/env.ts'
import { collection, put, type Change, type RecordStore } from '../store/records.ts'

interface ClockRecord {
  readonly offsetMs: number
}

/** One record, `clock`. */
const clocks = collection<ClockRecord>('clock')
const ID = 'clock'

/** The time that retention, purges, rotations and tokens follow; certificates and limits against floods never do. */
export interface ControlledClock {
  /** The environment whose clock this is. */
  readonly env: Env
  /** Milliseconds between the machine's clock and this one. */
  offset(): number
  /** The machine's own time; milliseconds since 1970. */
  systemNow(): number
  /** What has to be committed for the clock to stand there after a restart too. */
  change(offsetMs: number): Change
  /** From now on. */
  apply(offsetMs: number): void
  /** Takes up where the last run stood. */
  load(records: RecordStore): Promise<void>
}

export function controlledClock(base: Env): ControlledClock {
  let offset = 0
  return {
    env: { ...base, now: () => base.now() + offset },
    offset: () => offset,
    systemNow: () => base.now(),
    change: offsetMs => put(clocks, ID, { offsetMs }),
    apply(offsetMs) {
      offset = offsetMs
    },
    async load(records) {
      offset = await storedOffset(records)
    },
  }
}

/** How far the clock of this store had been moved, in milliseconds; 0 where nobody moved it. */
export async function storedOffset(records: RecordStore): Promise<number> {
  return (await records.get(clocks, ID))?.value.offsetMs ?? 0
}
