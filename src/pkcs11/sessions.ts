import { withArena } from './arena.ts'
import { CKF, CKU_USER } from './constants.ts'
import { isReason, isSessionLost, type Cryptoki } from './cryptoki.ts'
import { TokenError } from './token-error.ts'

/** Operations at a time: as many as libuv's pool has threads. */
const MAX_SESSIONS = 4

/** Sessions with a token, logged in as its user. A session does one operation at a time. */
export interface Sessions {
  /** `again`: the operation may be repeated after a lost session (the token was pulled out, or the module restarted). */
  use<T>(run: (session: number) => Promise<T>, options?: { readonly again?: boolean }): Promise<T>
  close(): Promise<void>
}

/** `pin` is called at each login, and its result is wiped. A refused PIN is not tried again, since tokens lock themselves. */
export function openSessions(cryptoki: Cryptoki, slot: number, pin: () => Promise<Buffer>): Sessions {
  return new SessionPool(cryptoki, slot, pin)
}

class SessionPool implements Sessions {
  readonly #cryptoki: Cryptoki
  readonly #slot: number
  readonly #pin: () => Promise<Buffer>
  readonly #idle: number[] = []
  readonly #waiting: (() => void)[] = []
  #open = 0
  #login: Promise<void> | undefined

  constructor(cryptoki: Cryptoki, slot: number, pin: () => Promise<Buffer>) {
    this.#cryptoki = cryptoki
    this.#slot = slot
    this.#pin = pin
  }

  async use<T>(run: (session: number) => Promise<T>, { again = false } = {}): Promise<T> {
    // Every session that was open before the loss is lost too. Each costs one attempt, and the next session is new.
    for (let left = again ? MAX_SESSIONS : 0; ; left--) {
      try {
        return await this.#once(run)
      } catch (error) {
        if (left === 0 || !isSessionLost(error)) throw error
      }
    }
  }

  async close(): Promise<void> {
    for (const session of this.#idle.splice(0)) await this.#end(session)
  }

  async #once<T>(run: (session: number) => Promise<T>): Promise<T> {
    const session = await this.#take()
    let lost = false
    try {
      return await run(session)
    } catch (error) {
      lost = isSessionLost(error)
      throw error
    } finally {
      if (lost) {
        this.#login = undefined
        await this.#end(session)
      } else this.#idle.push(session)
      this.#waiting.shift()?.()
    }
  }

  async #take(): Promise<number> {
    while (this.#open >= MAX_SESSIONS && this.#idle.length === 0) {
      await new Promise<void>(resolve => this.#waiting.push(resolve))
    }
    const known = this.#idle.pop()
    if (known !== undefined) return known
    this.#open += 1
    try {
      return await this.#start()
    } catch (error) {
      this.#open -= 1
      this.#waiting.shift()?.()
      throw error
    }
  }

  async #start(): Promise<number> {
    const session = await withArena(async arena => {
      const handle = arena.long(0)
      const flags = CKF.SERIAL_SESSION | CKF.RW_SESSION
      await this.#cryptoki.call('C_OpenSession', this.#slot, flags, 0n, 0n, handle)
      return arena.readLong(handle)
    })
    try {
      this.#login ??= this.#logIn(session)
      await this.#login
      return session
    } catch (error) {
      if (!(error instanceof PinRefused)) this.#login = undefined
      await this.#cryptoki.call('C_CloseSession', session).catch(() => undefined)
      throw error
    }
  }

  async #logIn(session: number): Promise<void> {
    const secret = await this.#pin()
    try {
      await withArena(arena => this.#cryptoki.call('C_Login', session, CKU_USER, arena.bytes(secret), secret.length))
    } catch (error) {
      if (!isReason(error, 'USER_ALREADY_LOGGED_IN')) throw loginFailure(error)
    } finally {
      secret.fill(0)
    }
  }

  async #end(session: number): Promise<void> {
    this.#open -= 1
    await this.#cryptoki.call('C_CloseSession', session).catch(() => undefined)
  }
}

class PinRefused extends Error {}

/** PinRefused where the PIN is the cause. Other errors stay as they are, since they may pass. */
function loginFailure(error: unknown): Error {
  const reason = error instanceof TokenError ? error.reason : ''
  const advice: Readonly<Record<string, string>> = {
    PIN_INCORRECT:
      "The PIN in the PIN file is wrong. Put the PIN of the token's user there; tokens lock themselves after a few wrong ones.",
    PIN_INVALID: 'The PIN in the PIN file has letters that this token does not take.',
    PIN_LEN_RANGE: 'The PIN in the PIN file is too short or too long for this token.',
    PIN_LOCKED: 'The token is locked after too many wrong PINs: its security officer has to unlock it.',
    PIN_EXPIRED: 'The PIN has expired: set a new one with the tools of the token.',
    USER_PIN_NOT_INITIALIZED: 'The token has no user PIN yet: set one with the tools of the token.',
  }
  const known = advice[reason]
  if (known === undefined) return error as Error
  return new PinRefused(`Login at the PKCS #11 token failed. ${known}`, { cause: error })
}
