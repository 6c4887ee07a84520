import { readFile } from 'node:fs/promises'
import { setDefaultCACertificates, getCACertificates } from 'node:tls'
import { Browser, formOf } from './sign-in-browser.ts'

/** Acts as a person whom a program sends to a sign-in page: signs in, and is redirected with the answer. */
const { AZURE_AUTHORITY_HOST = '', NODE_EXTRA_CA_CERTS = '', USER_NAME = '', USER_PASSWORD = '' } = process.env
setDefaultCACertificates([...getCACertificates('default'), await readFile(NODE_EXTRA_CA_CERTS, 'utf8')])
const browser = new Browser(AZURE_AUTHORITY_HOST)
const page = await browser.go(process.argv[2] ?? '')
const answer = await browser.signIn(page, USER_NAME, USER_PASSWORD)
const location = answer.headers.get('location')
if (location === null) {
  const { action, values } = formOf(answer)
  const posted = await fetch(action, { method: 'POST', body: new URLSearchParams(values) })
  process.stdout.write(`${posted.status} ${await posted.text()}\n`)
} else {
  process.stdout.write(`${(await fetch(location)).status}\n`)
}
