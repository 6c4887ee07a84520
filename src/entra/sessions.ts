import { createHash, type KeyObject } from 'node:crypto'
import { openBox, sealBox } from '../crypto/box.ts'
import { equalSecrets, mac } from '../crypto/derive.ts'
import type { Env } from '../base/env.ts'
import type { Call } from '../http/route.ts'
import { put, remove, type RecordStore } from '../store/records.ts'
import { sweepOf } from './expired-records.ts'
import { sessions, type Session } from './records.ts'

const SESSION_MS = 24 * 3_600_000
const SESSION = '__Host-ownkey-session'
const SIGN_IN = '__Host-ownkey-sign-in'
const ATTRIBUTES = 'Path=/; Secure; HttpOnly; SameSite=Lax'
/** The cookie outlives the session, since it also marks a browser that somebody has used before (ADR 0022). */
const DEVICE_MS = 90 * 86_400_000
const FORM_MS = 10 * 60_000
const LONGEST_STATE = 24_576

/** A browser in which somebody has signed in. */
export interface SignedInSession extends Session {
  readonly id: string
}

/** Who signed in with this browser, and which page it was shown. */
export interface Sessions {
  /** Undefined when nobody is signed in, or the session has ended. */
  signedIn(call: Call): Promise<SignedInSession | undefined>
  /** Whether the session still lasts. */
  lasts(id: string): Promise<boolean>
  /** A new session (the browser's former one ends), and its `set-cookie` header. */
  begin(
    call: Call,
    account: Pick<Session, 'objectId' | 'tenantId'>,
  ): Promise<{ session: SignedInSession; cookie: string }>
  /** Ends the session of this browser. Returns the header that removes its cookie. */
  end(call: Call): Promise<string>
  /** A name of the browser, if this user has signed in with it before; not a secret. */
  deviceOf(call: Call, objectId: string): string | undefined
  /** The form's own secret: its cookie, and the sealed state that the page carries. */
  openForm(call: Call, state: object): { cookie: string; sealed: string }
  /** The state of a form that this browser was shown in the last ten minutes; undefined for any other. */
  readForm(call: Call, sealed: string): unknown
}

export function openSessions(options: {
  readonly records: RecordStore
  readonly env: Env
  readonly sealingKey: KeyObject
}): Sessions {
  const { records, env } = options
  const read = async (id: string): Promise<SignedInSession | undefined> => {
    const found = (await records.get(sessions, id))?.value
    return found !== undefined && found.expiresAt > env.now() ? { ...found, id } : undefined
  }
  const secretOf = (call: Call): { secret: string; tag: string } | undefined => {
    const [, secret, tag = ''] = /^([\w-]{43})(?:\.([\w-]{43}))?$/.exec(cookieOf(call, SESSION) ?? '') ?? []
    return secret === undefined ? undefined : { secret, tag }
  }
  const idOf = (call: Call): string | undefined => {
    const known = secretOf(call)
    return known === undefined ? undefined : digest(known.secret)
  }
  const tagOf = (secret: string, objectId: string): string =>
    mac(options.sealingKey, 'entra known device', secret, objectId).toString('base64url')
  const cookieFor = (secret: string, objectId: string): string =>
    `${SESSION}=${secret}.${tagOf(secret, objectId)}; Max-Age=${DEVICE_MS / 1000}; ${ATTRIBUTES}`
  const sweep = sweepOf(options, sessions)
  return {
    async signedIn(call) {
      const id = idOf(call)
      return id === undefined ? undefined : read(id)
    },
    lasts: async id => (await read(id)) !== undefined,
    async begin(call, { objectId, tenantId }) {
      await sweep()
      const secret = env.randomBytes(32).toString('base64url')
      const [id, former] = [digest(secret), idOf(call)]
      const session: Session = { objectId, tenantId, authTime: env.now(), expiresAt: env.now() + SESSION_MS }
      const ended = former === undefined ? [] : [remove(sessions, former)]
      await records.commit([put(sessions, id, session, 0), ...ended], { reserve: 'small' })
      return { session: { ...session, id }, cookie: cookieFor(secret, objectId) }
    },
    async end(call) {
      const id = idOf(call)
      if (id !== undefined) await records.commit([remove(sessions, id)])
      return `${SESSION}=; Max-Age=0; ${ATTRIBUTES}`
    },
    deviceOf(call, objectId) {
      const known = secretOf(call)
      if (known === undefined || !equalSecrets(known.tag, tagOf(known.secret, objectId))) return undefined
      return digest(known.secret)
    },
    ...openForms(env, options.sealingKey),
  }
}

/** Forms that only the browser can send to which they were shown: the page's sealed state and a cookie hold the same secret. */
function openForms(env: Env, key: KeyObject): Pick<Sessions, 'openForm' | 'readForm'> {
  const place = Buffer.from('entra sign-in form')
  return {
    openForm(call, state) {
      // The same secret for all tabs of a browser, so that a page in one tab does not make another tab's form invalid.
      const known = cookieOf(call, SIGN_IN)
      const secret =
        known !== undefined && /^[\w-]{43}$/.test(known) ? known : env.randomBytes(32).toString('base64url')
      const text = JSON.stringify({ state, secret: digest(secret), until: env.now() + FORM_MS })
      const sealed = sealBox(key, place, Buffer.from(text)).toString('base64url')
      return { cookie: `${SIGN_IN}=${secret}; Max-Age=${FORM_MS / 1000}; ${ATTRIBUTES}`, sealed }
    },
    readForm(call, sealed) {
      if (sealed.length > LONGEST_STATE) return undefined
      // Another site's form lacks the cookie (login CSRF). Browsers also send a form's origin.
      const origin = call.headers.get('origin')
      if (origin !== null && origin !== call.origin) return undefined
      try {
        const form = JSON.parse(openBox(key, place, Buffer.from(sealed, 'base64url')).toString()) as {
          state: unknown
          secret: string
          until: number
        }
        const cookie = cookieOf(call, SIGN_IN)
        const fits = cookie !== undefined && equalSecrets(form.secret, digest(cookie)) && form.until > env.now()
        return fits ? form.state : undefined
      } catch {
        return undefined
      }
    },
  }
}

export function digest(text: string): string {
  return createHash('sha256').update(text).digest('base64url')
}

function cookieOf(call: Call, name: string): string | undefined {
  const pairs = (call.headers.get('cookie') ?? '').split(';').map(pair => pair.trim())
  return pairs.find(pair => pair.startsWith(`${name}=`))?.slice(name.length + 1)
}
