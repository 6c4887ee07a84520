import { withArena } from './arena.ts'
import { CKF, CKU_USER } from './constants.ts'
import { isReason, isSessionLost, type Cryptoki } from './cryptoki.ts'
import { TokenError } from './token-error.ts'

/** Operations at a time: as many as libuv's pool has threads. */
const MAX_SESSIONS = 4

/** Sessions with a token, logged in as its user. A session does one operation at a time. */
export interface Sessions {
  /** `again`: after a lost session (a token that was drawn, a module that restarted) the operation may be done once more. */
  use<T>(run: (session: number) => Promise<T>, options?: { readonly again?: boolean }): Promise<T>
  close(): Promise<void>
}

/** `pin` is asked at each login; what it gives is wiped. A PIN that was refused is not tried again: tokens lock themselves. */
export function openSessions(cryptoki: Cryptoki, slot: number, pin: () => Promise<Buffer>): Sessions {
  const idle: number[] = []
  const waiting: (() => void)[] = []
  let open = 0
  let login: Promise<void> | undefined

  async function logIn(session: number): Promise<void> {
    const secret = await pin()
    try {
      await withArena(arena => cryptoki.call('C_Login', session, CKU_USER, arena.bytes(secret), secret.length))
    } catch (error) {
      if (!isReason(error, 'USER_ALREADY_LOGGED_IN')) throw loginFailure(error)
    } finally {
      secret.fill(0)
    }
  }

  async function start(): Promise<number> {
    const session = await withArena(async arena => {
      const handle = arena.long(0)
      await cryptoki.call('C_OpenSession', slot, CKF.SERIAL_SESSION | CKF.RW_SESSION, 0n, 0n, handle)
      return arena.readLong(handle)
    })
    login ??= logIn(session)
    await login
    return session
  }

  async function take(): Promise<number> {
    while (open >= MAX_SESSIONS && idle.length === 0) await new Promise<void>(resolve => waiting.push(resolve))
    const known = idle.pop()
    if (known !== undefined) return known
    open += 1
    try {
      return await start()
    } catch (error) {
      open -= 1
      waiting.shift()?.()
      throw error
    }
  }

  async function once<T>(run: (session: number) => Promise<T>): Promise<T> {
    const session = await take()
    let lost = false
    try {
      return await run(session)
    } catch (error) {
      lost = isSessionLost(error)
      throw error
    } finally {
      if (lost) {
        open -= 1
        login = undefined
        await cryptoki.call('C_CloseSession', session).catch(() => undefined)
      } else idle.push(session)
      waiting.shift()?.()
    }
  }

  return {
    async use(run, { again = false } = {}) {
      // Every session that was open before the loss is lost too; the one after them is new.
      for (let left = again ? MAX_SESSIONS : 0; ; left--) {
        try {
          return await once(run)
        } catch (error) {
          if (left === 0 || !isSessionLost(error)) throw error
        }
      }
    },
    async close() {
      for (const session of idle.splice(0)) await cryptoki.call('C_CloseSession', session).catch(() => undefined)
    },
  }
}

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
  return new Error(`Login at the PKCS #11 token failed. ${advice[reason] ?? String(error)}`, { cause: error })
}
