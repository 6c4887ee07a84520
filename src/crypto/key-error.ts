export type KeyErrorCode = 'BadKey' | 'BadParameter' | 'DecryptionFailed' | 'Unsupported'

/** The error of asymmetric and octet keys. The message says what to do and never holds key bytes. */
export class KeyError extends Error {
  readonly code: KeyErrorCode

  constructor(code: KeyErrorCode, message: string) {
    super(message)
    this.name = 'KeyError'
    this.code = code
  }
}
