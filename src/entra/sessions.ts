import type { KeyObject } from 'node:crypto'
import { openBox, sealBox } from '../crypto/box.ts'
import { equalSecrets } from '../crypto/derive.ts'
import type { Env } from '../env.ts'
import type { Call } from '../http/route.ts'

const SESSION_MS = 12 * 3_600_000
const SESSION = '__Host-ownkey-session'
const SIGN_IN = '__Host-ownkey-sign-in'
const ATTRIBUTES = 'Path=/; Secure; HttpOnly; SameSite=Lax'

/** Who signed in with this browser, and which sign-in page it was shown: sealed cookies, so that nothing is kept here. */
export interface Sessions {
  /** Object id of the person who signed in, while the session lasts. */
  signedIn(call: Call): string | undefined
  /** A `set-cookie` header that begins a session. */
  begin(objectId: string): string
  readonly end: string
  /** The form's own secret: its cookie, and the sealed state that the page carries. */
  openForm(state: object): { cookie: string; sealed: string }
  /** The state of a form that this browser was shown, within ten minutes; undefined for any other. */
  readForm(call: Call, sealed: string): unknown
}

interface Opened {
  readonly until: number
  readonly objectId?: string
  readonly state?: unknown
  readonly secret?: string
}

const FORM_MS = 10 * 60_000

export function openSessions(env: Env, key: KeyObject): Sessions {
  const seal = (place: string, value: object): string =>
    sealBox(key, Buffer.from(place), Buffer.from(JSON.stringify(value))).toString('base64url')
  const open = (place: string, sealed: string | undefined): Opened | undefined => {
    if (sealed === undefined || sealed.length > 16_384) return undefined
    try {
      const value = JSON.parse(openBox(key, Buffer.from(place), Buffer.from(sealed, 'base64url')).toString()) as Opened
      return value.until > env.now() ? value : undefined
    } catch {
      return undefined
    }
  }
  return {
    signedIn: call => open('entra session', cookieOf(call, SESSION))?.objectId,
    begin(objectId) {
      const value = seal('entra session', { objectId, until: env.now() + SESSION_MS })
      return `${SESSION}=${value}; Max-Age=${SESSION_MS / 1000}; ${ATTRIBUTES}`
    },
    end: `${SESSION}=; Max-Age=0; ${ATTRIBUTES}`,
    openForm(state) {
      const secret = env.randomBytes(32).toString('base64url')
      const sealed = seal('entra sign-in form', { state, secret, until: env.now() + FORM_MS })
      return { cookie: `${SIGN_IN}=${secret}; Max-Age=${FORM_MS / 1000}; ${ATTRIBUTES}`, sealed }
    },
    readForm(call, sealed) {
      const form = open('entra sign-in form', sealed)
      // A form that another site made this browser send lacks the cookie that its page set (login CSRF).
      return form !== undefined && equalSecrets(form.secret ?? '', cookieOf(call, SIGN_IN) ?? '')
        ? form.state
        : undefined
    },
  }
}

function cookieOf(call: Call, name: string): string | undefined {
  const pairs = (call.headers.get('cookie') ?? '').split(';').map(pair => pair.trim())
  return pairs.find(pair => pair.startsWith(`${name}=`))?.slice(name.length + 1)
}
