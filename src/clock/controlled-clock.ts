import type { Env } from '../base/env.ts'
import { collection, put, type Change, type RecordStore } from '../store/records.ts'

interface ClockRecord {
  readonly offsetMs: number
}

/** One record, `clock`. */
const clocks = collection<ClockRecord>('clock')
const ID = 'clock'

/** The time that retention, purges, rotations and tokens follow. Certificates and rate limits never follow it. */
export interface ControlledClock {
  /** The environment with this clock. */
  readonly env: Env
  /** Milliseconds between the machine's clock and this one. */
  offset(): number
  /** The machine's own time; milliseconds since 1970. */
  systemNow(): number
  /** The changes to commit, so that the clock is the same after a restart. */
  change(offsetMs: number): Change
  /** From now on. */
  apply(offsetMs: number): void
  /** Opens the clock at the offset of the last run. @throws where other processes, which would not see it move, write into the store */
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
      if (records.properties.shared)
        throw new Error(
          'The clock can be moved only where no other process works on the same records. Start without --clock-control.',
        )
      offset = await storedOffset(records)
    },
  }
}

/** How far the clock of this store had been moved, in milliseconds; 0 where nobody moved it. */
export async function storedOffset(records: RecordStore): Promise<number> {
  return (await records.get(clocks, ID))?.value.offsetMs ?? 0
}
