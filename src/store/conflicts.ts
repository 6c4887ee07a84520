import { Conflict } from '../http/errors.ts'
import { VersionConflict } from './records.ts'

/**
 * For the `catch` of a commit: a VersionConflict as the 409 that its client is told, everything else as it is.
 * @param what begins the sentence, for example `The account`; `code` as its plane spells it
 */
export function changedMeanwhile(what: string, code = 'AnotherOperationInProgress'): (error: unknown) => never {
  return error => {
    if (!(error instanceof VersionConflict)) throw error
    throw new Conflict(
      code,
      `${what} was changed by someone else in the meantime. Read it again, then repeat the change.`,
      { cause: error },
    )
  }
}

/** For the `catch` of a commit that need not come about when somebody else changed the record first. */
export function unlessConflict(error: unknown): void {
  if (!(error instanceof VersionConflict)) throw error
}
