import { createHash } from 'node:crypto'
import { bytes } from '../http/respond.ts'

const STYLE = `
:root{color-scheme:light dark;--bg:#f3f2f1;--card:#fff;--text:#242424;--soft:#616161;--line:#8a8886;--brand:#0f6cbd;--bad:#b10e1c}
@media (prefers-color-scheme:dark){:root{--bg:#1b1a19;--card:#292827;--text:#fff;--soft:#c8c6c4;--line:#979593;--brand:#479ef5;--bad:#f1707b}}
*{box-sizing:border-box}
body{margin:0;min-height:100vh;display:grid;place-items:center;background:var(--bg);color:var(--text);font:16px/1.4 'Segoe UI',-apple-system,BlinkMacSystemFont,Roboto,'Helvetica Neue',sans-serif}
main{width:min(440px,100vw);background:var(--card);padding:40px 36px;box-shadow:0 2px 6px rgba(0,0,0,.2)}
h1{font-size:24px;font-weight:600;margin:16px 0 4px}
p{margin:0 0 16px;color:var(--soft)}
.brand{font-weight:600;color:var(--soft)}
.bad{color:var(--bad);margin:12px 0}
label{display:block;margin-top:16px}
input{width:100%;font:inherit;color:inherit;background:transparent;padding:6px 2px;border:0;border-bottom:1px solid var(--line)}
input:focus{outline:2px solid var(--brand);outline-offset:2px}
button{margin-top:28px;float:right;min-width:108px;padding:8px 20px;font:inherit;font-weight:600;border:0;background:var(--brand);color:#fff}
@media (prefers-color-scheme:dark){button{color:#000}}
button:focus-visible{outline:2px solid var(--text);outline-offset:2px}
main::after{content:'';display:block;clear:both}
`

const styleHash = `'sha256-${createHash('sha256').update(STYLE).digest('base64')}'`

/** A page of the login host: no script, no foreign asset; forms go to this host and then to `formTarget` only. */
function page(
  title: string,
  body: string,
  options: { status?: number; formTarget?: string; cookie?: string },
): Response {
  const { status = 200, formTarget = '', cookie } = options
  const html = `<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><title>${title}</title><style>${STYLE}</style></head><body><main>${body}</main></body></html>`
  return bytes(Buffer.from(html), 'text/html; charset=utf-8', {
    status,
    headers: {
      'cache-control': 'no-store',
      'content-security-policy': `default-src 'none'; style-src ${styleHash}; form-action 'self' ${formTarget}; base-uri 'none'; frame-ancestors 'none'`,
      'referrer-policy': 'no-referrer',
      ...(cookie === undefined ? {} : { 'set-cookie': cookie }),
    },
  })
}

/** Asks for name and password. `error`: what was wrong the last time. */
export function signInPage(form: {
  readonly action: string
  readonly client: string
  readonly state: string
  readonly cookie: string
  readonly formTarget: string
  readonly name: string
  readonly error?: string
}): Response {
  const focusName = form.name === '' ? ' autofocus' : ''
  const focusPassword = form.name === '' ? '' : ' autofocus'
  const body = `<div class="brand">OwnKey</div><h1>Sign in</h1><p>to continue to ${escaped(form.client)}</p>
<form method="post" action="${escaped(form.action)}">
${form.error === undefined ? '' : `<div class="bad" role="alert">${escaped(form.error)}</div>`}
<input type="hidden" name="state" value="${escaped(form.state)}">
<label for="name">User name</label><input id="name" name="name" type="text" autocomplete="username" autocapitalize="none" spellcheck="false" required maxlength="256" value="${escaped(form.name)}"${focusName}>
<label for="password">Password</label><input id="password" name="password" type="password" autocomplete="current-password" required maxlength="256"${focusPassword}>
<button type="submit">Sign in</button></form>`
  const options = { formTarget: form.formTarget, cookie: form.cookie, status: form.error === undefined ? 200 : 401 }
  return page('Sign in to OwnKey', body, options)
}

/** What can't be sent back to the client, because it is not known to be the client. */
export function signInProblem(message: string): Response {
  const body = `<div class="brand">OwnKey</div><h1>Sign-in is not possible</h1><div class="bad" role="alert">${escaped(message)}</div><p>Go back to the application and start again.</p>`
  return page('Sign-in is not possible', body, { status: 400 })
}

export function signedOutPage(cookie: string): Response {
  const body =
    '<div class="brand">OwnKey</div><h1>You signed out</h1><p>It is a good idea to close all browser windows.</p>'
  return page('Signed out', body, { cookie })
}

function escaped(text: string): string {
  const names: Record<string, string> = { '&': 'amp', '<': 'lt', '>': 'gt', '"': 'quot', "'": '#39' }
  return text.replaceAll(/[&<>"']/g, letter => `&${names[letter]};`)
}
