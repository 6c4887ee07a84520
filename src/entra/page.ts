import { createHash } from 'node:crypto'
import { bytes } from '../http/respond.ts'

const STYLE = `
:root{color-scheme:light dark;--bg:#f3f2f1;--card:#fff;--text:#242424;--soft:#616161;--line:#8a8886;--brand:#0f6cbd;--on-brand:#fff;--bad:#b10e1c}
@media (prefers-color-scheme:dark){:root{--bg:#1b1a19;--card:#292827;--text:#fff;--soft:#c8c6c4;--line:#979593;--brand:#479ef5;--on-brand:#000;--bad:#f1707b}}
*{box-sizing:border-box}
body{margin:0;min-height:100vh;display:grid;place-items:center;background:var(--bg);color:var(--text);font:16px/1.4 'Segoe UI',-apple-system,BlinkMacSystemFont,Roboto,'Helvetica Neue',sans-serif}
main{width:min(440px,100vw);background:var(--card);padding:40px 36px;box-shadow:0 2px 6px rgba(0,0,0,.2);overflow-wrap:anywhere}
h1{font-size:24px;font-weight:600;margin:16px 0 4px}
p{margin:0 0 16px;color:var(--soft)}
.brand{font-weight:600;color:var(--soft)}
.bad{color:var(--bad);margin:12px 0}
label{display:block;margin-top:16px}
input{width:100%;min-height:36px;font:inherit;color:inherit;background:transparent;padding:6px 2px;border:0;border-bottom:1px solid var(--line)}
input.code{font-family:ui-monospace,Consolas,monospace;letter-spacing:.2em;text-transform:uppercase}
input:focus{outline:2px solid var(--brand);outline-offset:2px}
.row{display:flex;flex-wrap:wrap;gap:12px;justify-content:flex-end;margin-top:28px}
button{min-width:108px;min-height:40px;padding:8px 20px;font:inherit;font-weight:600;border:1px solid var(--brand);background:var(--brand);color:var(--on-brand);cursor:pointer}
button.second{background:transparent;color:var(--text);border-color:var(--line)}
button:focus-visible{outline:2px solid var(--text);outline-offset:2px}
`
const SUBMIT = 'document.forms[0].submit()'

const hash = (text: string): string => `'sha256-${createHash('sha256').update(text).digest('base64')}'`
const styleHash = hash(STYLE)
const submitHash = hash(SUBMIT)

export interface PageOptions {
  readonly status?: number
  /** The target to which the form finally leads, besides this host. */
  readonly formTarget?: string
  readonly cookie?: string
  /** The page's form is sent at once. */
  readonly submits?: boolean
}

/** A page of the login host, without foreign assets. Forms go only to this host and then to `formTarget`. `body` is HTML. */
export function page(title: string, body: string, options: PageOptions = {}): Response {
  const { status = 200, formTarget = '', cookie, submits = false } = options
  const script = submits ? `<script>${SUBMIT}</script>` : ''
  const html = `<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><title>${escaped(title)}</title><style>${STYLE}</style></head><body><main><div class="brand">OwnKey</div>${body}</main>${script}</body></html>`
  return bytes(Buffer.from(html), 'text/html; charset=utf-8', {
    status,
    headers: {
      'cache-control': 'no-store',
      'content-security-policy': `default-src 'none'; style-src ${styleHash};${submits ? ` script-src ${submitHash};` : ''} form-action 'self' ${formTarget}; base-uri 'none'; frame-ancestors 'none'`,
      'cross-origin-opener-policy': 'same-origin-allow-popups',
      // Other hosts get no address. Forms tell this host their origin, which `no-referrer` would prevent.
      'referrer-policy': 'same-origin',
      'x-frame-options': 'DENY',
      ...(cookie === undefined ? {} : { 'set-cookie': cookie }),
    },
  })
}

export function escaped(text: string): string {
  const names: Record<string, string> = { '&': 'amp', '<': 'lt', '>': 'gt', '"': 'quot', "'": '#39' }
  return text.replaceAll(/[&<>"']/g, letter => `&${names[letter]};`)
}

/** A redirect's target in the form of CSP's form-action: an origin, or the scheme of a program on this machine. */
export function formTargetOf(uri: string): string {
  const url = new URL(uri)
  return url.origin === 'null' ? url.protocol : url.origin
}
