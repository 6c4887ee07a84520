import { escaped, page } from './page.ts'

/** What every form of a sign-in carries. */
export interface FormBasics {
  readonly action: string
  /** Sealed; see sessions.ts. */
  readonly state: string
  readonly cookie: string
  readonly formTarget: string
  readonly error?: string | undefined
}

const hidden = (name: string, value: string): string => `<input type="hidden" name="${name}" value="${escaped(value)}">`

const alert = (error: string | undefined): string =>
  error === undefined ? '' : `<div class="bad" id="error" role="alert">${escaped(error)}</div>`

/** The beginning of a form: its target, what was wrong, and its state. */
const opening = ({ action, state, error }: FormBasics): string =>
  `<form method="post" action="${escaped(action)}">${alert(error)}${hidden('state', state)}`

const optionsOf = ({ formTarget, cookie, error }: FormBasics) => ({
  formTarget,
  cookie,
  status: error === undefined ? 200 : 401,
})

const titled = (title: string, { error }: FormBasics): string => (error === undefined ? title : `Error: ${title}`)

const describedBy = ({ error }: FormBasics): string =>
  error === undefined ? '' : ' aria-invalid="true" aria-describedby="error"'

/** Asks for name and password. `error`: what was wrong the last time. */
export function signInPage(form: FormBasics & { readonly client: string; readonly name: string }): Response {
  const focusName = form.name === '' ? ' autofocus' : ''
  const focusPassword = form.name === '' ? '' : ' autofocus'
  const body = `<h1>Sign in</h1><p>to continue to ${escaped(form.client)}</p>
${opening(form)}
<label for="name">User name</label><input id="name" name="name" type="text" autocomplete="username" autocapitalize="none" spellcheck="false" required maxlength="256" value="${escaped(form.name)}"${focusName}${describedBy(form)}>
<label for="password">Password</label><input id="password" name="password" type="password" autocomplete="current-password" required maxlength="256"${focusPassword}${describedBy(form)}>
<div class="row"><button type="submit" name="action" value="password">Sign in</button></div></form>`
  return page(titled('Sign in to OwnKey', form), body, optionsOf(form))
}

/** Asks as whom to go on: the person who is signed in, or somebody else. */
export function continuePage(
  form: FormBasics & { readonly client: string; readonly userName: string; readonly device?: string | undefined },
): Response {
  const { client, userName, device } = form
  const heading = device === undefined ? `Continue to ${client}?` : `Are you trying to sign in to ${client}?`
  const text =
    device === undefined
      ? `${client} gets access to this cloud in the name of ${userName}.`
      : `A device at ${device} gets access to this cloud in the name of ${userName}. Only continue if you started this sign-in yourself, and nobody gave you the code.`
  const body = `<h1>${escaped(heading)}</h1><p>${escaped(text)}</p>
${opening(form)}<div class="row">
<button type="submit" name="action" value="continue" autofocus>Continue</button>
<button type="submit" name="action" value="other" class="second">Use another account</button>
<button type="submit" name="action" value="cancel" class="second">Cancel</button></div></form>`
  return page('Continue · OwnKey', body, optionsOf(form))
}

/** Asks for a new password where the old one is valid only once. */
export function changePasswordPage(form: FormBasics & { readonly name: string }): Response {
  const field = (id: string, label: string, autocomplete: string, focus = ''): string =>
    `<label for="${id}">${label}</label><input id="${id}" name="${id}" type="password" autocomplete="${autocomplete}" required maxlength="256"${focus}${describedBy(form)}>`
  const body = `<h1>Choose a new password</h1><p>for ${escaped(form.name)}. It must have 8 characters or more.</p>
${opening(form)}${hidden('name', form.name)}
${field('password', 'Current password', 'current-password', ' autofocus')}
${field('newPassword', 'New password', 'new-password')}
${field('repeated', 'New password again', 'new-password')}
<div class="row"><button type="submit" name="action" value="change">Sign in</button></div></form>`
  return page(titled('Choose a new password · OwnKey', form), body, optionsOf(form))
}

/** Asks for the code that a device shows. */
export function deviceCodePage(form: FormBasics): Response {
  const body = `<h1>Enter code</h1><p>Enter the code that your device or application shows. Never enter one that somebody else gave you.</p>
${opening(form)}
<label for="code">Code</label><input id="code" name="code" type="text" class="code" autocomplete="off" autocapitalize="characters" spellcheck="false" required maxlength="20" autofocus${describedBy(form)}>
<div class="row"><button type="submit">Next</button></div></form>`
  return page(titled('Enter code · OwnKey', form), body, optionsOf(form))
}

/** Shows the result, where no client waits in this browser. */
export function endPage(heading: string, text: string, cookie?: string): Response {
  const body = `<h1>${escaped(heading)}</h1><p>${escaped(text)}</p>`
  return page(`${heading} · OwnKey`, body, cookie === undefined ? {} : { cookie })
}

/** An error that can't be sent back to the client, because the client is not known. */
export function signInProblem(message: string): Response {
  const body = `<h1>Sign-in is not possible</h1><div class="bad" role="alert">${escaped(message)}</div><p>Go back to the application and start again.</p>`
  return page('Sign-in is not possible · OwnKey', body, { status: 400 })
}

/** Sends the answer with a form (OAuth 2.0 Form Post Response Mode), with a button for browsers without scripts. */
export function formPostPage(
  target: string,
  values: Readonly<Record<string, string>>,
  options: { readonly formTarget: string; readonly cookie?: string | undefined },
): Response {
  const fields = Object.entries(values).map(([name, value]) => hidden(escaped(name), value))
  const body = `<h1>Signed in</h1><form method="post" action="${escaped(target)}">${fields.join('')}<p>Going back to the application.</p><noscript><div class="row"><button type="submit">Continue</button></div></noscript></form>`
  const { formTarget, cookie } = options
  return page('Signed in · OwnKey', body, { submits: true, formTarget, ...(cookie === undefined ? {} : { cookie }) })
}
