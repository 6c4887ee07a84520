import { CKR } from './constants.ts'

/** A call of the PKCS #11 module that failed. The message names call and code, and holds no data. */
export class TokenError extends Error {
  /** The name behind CKR_, or the number. */
  readonly reason: string

  constructor(call: string, code: number) {
    const reason = Object.entries(CKR).find(([, value]) => value === code)?.[0] ?? `0x${code.toString(16)}`
    super(`${call} answered CKR_${reason}`)
    this.name = 'TokenError'
    this.reason = reason
  }
}

/** The token has no key of that id: it was removed there, or this is another token. */
export class TokenKeyMissing extends Error {
  constructor(id: string) {
    super(`The PKCS #11 token holds no private key with CKA_ID ${id}. Is it the token that the key was made in?`)
    this.name = 'TokenKeyMissing'
  }
}
