export type KeyErrorCode = 'BadKey' | 'BadParameter' | 'DecryptionFailed' | 'Unsupported'

/** The error of asymmetric and octet keys. The message says what to do and never holds key bytes. */
export class KeyError extends Error {
  readonly code: KeyErrorCode
  /** The one field of the input that does not fit, by its name in JSON Web Keys and Key Vault's requests; undefined where it is not one. */
  readonly field: string | undefined

  constructor(code: KeyErrorCode, message: string, field?: string) {
    super(message)
    this.name = 'KeyError'
    this.code = code
    this.field = field
  }
}
