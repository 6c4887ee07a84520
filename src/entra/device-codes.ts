import type { Env } from '../base/env.ts'
import { loginError } from './aadsts.ts'
import { digest } from './sessions.ts'

const LIFE_SECONDS = 900
/** Seconds between a client's polls. */
const INTERVAL_SECONDS = 1
const MOST = 1_000
/** Letters that are not mistaken for each other, without vowels: RFC 8628 6.1. */
const LETTERS = 'BCDFGHJKLMNPQRSTVWXZ'
const LETTERS_IN_CODE = 9

/** A device that waits for somebody to sign in elsewhere. */
export interface Device {
  readonly clientId: string
  /** As the client named it in the path. */
  readonly tenant: string
  readonly scope: string
  /** Where the request came from, for the person to compare. */
  readonly peer: string
}

export interface Approval {
  readonly objectId: string
  readonly authTime: number
}

interface Waiting {
  readonly device: Device
  readonly userCode: string
  readonly until: number
  readonly answer?: Approval | 'declined'
}

/** Device codes (RFC 8628) live for a quarter of an hour, so they are kept in memory. */
export class DeviceCodes {
  readonly #env: Env
  readonly #waiting = new Map<string, Waiting>()

  constructor(env: Env) {
    this.#env = env
  }

  /** @throws 429 while too many devices wait that were approved already */
  begin(device: Device): { deviceCode: string; userCode: string; expiresIn: number; interval: number } {
    for (const [key, { until }] of this.#waiting) if (until <= this.#env.now()) this.#waiting.delete(key)
    // The oldest device that nobody has answered goes. Anybody may begin a sign-in, so a full list must shut nobody out (ADR 0022).
    const oldest = [...this.#waiting].find(([, { answer }]) => answer === undefined)
    if (this.#waiting.size >= MOST && oldest !== undefined) this.#waiting.delete(oldest[0])
    else if (this.#waiting.size >= MOST) {
      const message = 'Too many devices wait for a sign-in: try again later.'
      throw loginError('temporarily_unavailable', 50_196, message, { status: 429, retryAfter: 30 })
    }
    const deviceCode = this.#env.randomBytes(32).toString('base64url')
    const userCode = this.#newUserCode()
    const until = this.#env.now() + LIFE_SECONDS * 1000
    this.#waiting.set(digest(deviceCode), { device, userCode, until })
    return { deviceCode, userCode, expiresIn: LIFE_SECONDS, interval: INTERVAL_SECONDS }
  }

  /** The device that shows this code and has no answer yet. Spaces, dashes and small letters do not matter. */
  find(userCode: string): (Device & { readonly userCode: string }) | undefined {
    const found = this.#find(userCode)?.[1]
    return found === undefined || found.answer !== undefined ? undefined : { ...found.device, userCode: found.userCode }
  }

  /** Answers the device. False when nobody waits for it any more. */
  answer(userCode: string, answer: Approval | 'declined'): boolean {
    const [key, found] = this.#find(userCode) ?? []
    if (key === undefined || found === undefined || found.answer !== undefined) return false
    this.#waiting.set(key, { ...found, answer })
    return true
  }

  /** Returns the approval, once. @throws authorization_pending, authorization_declined, expired_token, bad_verification_code */
  redeem(deviceCode: string, clientId: string): Approval & { readonly scope: string } {
    const key = digest(deviceCode.slice(0, 128))
    const found = this.#waiting.get(key)
    if (found?.device.clientId !== clientId)
      throw loginError('bad_verification_code', 70_019, 'The device code is not known, or was used before.')
    if (found.until <= this.#env.now()) {
      this.#waiting.delete(key)
      throw loginError('expired_token', 70_020, 'The device code has expired: ask for a new one.')
    }
    if (found.answer === undefined) {
      const message = 'OAuth 2.0 device flow error. Authorization is pending. Continue polling.'
      throw loginError('authorization_pending', 70_016, message)
    }
    this.#waiting.delete(key)
    if (found.answer === 'declined')
      throw loginError('authorization_declined', 70_018, 'The person declined to sign this device in.')
    return { ...found.answer, scope: found.device.scope }
  }

  #find(userCode: string): [string, Waiting] | undefined {
    const plain = userCode.toUpperCase().replace(/[\s-]/g, '')
    if (plain.length !== LETTERS_IN_CODE) return undefined
    return [...this.#waiting].find(([, { userCode: own, until }]) => own === plain && until > this.#env.now())
  }

  /** Nine of twenty letters, without bias: 38 bits, of which a guesser can try few. */
  #newUserCode(): string {
    let code = ''
    while (code.length < LETTERS_IN_CODE) {
      for (const byte of this.#env.randomBytes(16)) {
        if (byte < 240 && code.length < LETTERS_IN_CODE) code += LETTERS[byte % LETTERS.length]
      }
    }
    return code
  }
}
