import type { Random } from '../support/random.ts'
import type { Known, Model } from './model.ts'
import type { Outcome, Session } from './session.ts'

/** The context of an operation: one lane of the load, with its own random choices. */
export interface At {
  readonly session: Session
  readonly model: Model
  readonly random: Random
}

export interface Operation {
  readonly name: string
  /** How often it is chosen, relative to the others. */
  readonly weight: number
  /** Undefined where there is currently nothing to do it to. */
  readonly attempt: (at: At) => Promise<unknown> | undefined
}

interface Attempt<S extends string> {
  readonly name: string
  readonly known: Known<S>
  readonly next: S
  /** Blobs that may be left without a record when a kill comes in between. */
  readonly orphans?: number
  readonly ask: () => Promise<Outcome>
  readonly done?: (outcome: Extract<Outcome, { kind: 'done' }>) => void
}

/** Does one operation on one thing, and updates the model. */
export async function attempt<S extends string>(at: At, one: Attempt<S>): Promise<Outcome> {
  const { known, next, orphans = 0 } = one
  const before = known.now
  if (before === undefined) throw new Error(`${one.name}: it is not known what it is done to`)
  known.begin(next)
  const outcome = await one.ask()
  at.model.count(one.name, outcome.kind)
  if (outcome.kind === 'done') {
    one.done?.(outcome)
    known.done(next)
  } else if (outcome.kind === 'refused') known.refused(before)
  else {
    known.lost()
    at.model.mayBeOrphans += orphans
  }
  return outcome
}

/** One that fits; undefined when none does. */
export function pickOf<T>(random: Random, all: readonly T[], fits: (one: T) => boolean): T | undefined {
  const fitting = all.filter(fits)
  return fitting.length === 0 ? undefined : random.pick(fitting)
}
