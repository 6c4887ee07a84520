/** What went wrong while sealing, opening, wrapping or deriving. */
export type SealErrorCode =
  | 'BadContext'
  | 'BadKey'
  | 'BadHeader'
  | 'BadLength'
  | 'BadRange'
  | 'WrongKey'
  | 'Tampered'
  | 'Truncated'
  | 'TooLarge'
  | 'Misuse'

/** The one error class of sealing and wrapping. The message says what to do and never holds key bytes. */
export class SealError extends Error {
  readonly code: SealErrorCode

  constructor(code: SealErrorCode, message: string) {
    super(message)
    this.name = 'SealError'
    this.code = code
  }
}
