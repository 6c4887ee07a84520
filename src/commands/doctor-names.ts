import { lookup } from 'node:dns/promises'
import { fileURLToPath } from 'node:url'
import { connectAdministrator } from '../folder/administrator-client.ts'
import { readEndpoints } from '../base/endpoints.ts'
import { shellWord } from '../base/terminal.ts'
import { finding, type Finding } from './finding.ts'

const FIXED = ['login.localhost', 'management.localhost', 'portal.localhost']
const EXAMPLES = ['contoso.vault.localhost', 'contoso.openai.localhost']
const PRELOAD = new URL('../http/localhost.mjs', import.meta.url)
/** With the indentation of what doctor prints, 80 columns. */
const HOSTS_WIDTH = 71
/** The system's lookup, kept before this process resolves the names itself in order to call the cloud. */
const systemLookup = lookup

/** Whether programs of this machine resolve the cloud's names: of its vaults and accounts if it runs, otherwise examples. */
export async function namesFinding(dataDir: string | undefined): Promise<Finding> {
  // A file that a crash left behind names a cloud that does not answer.
  const own = dataDir === undefined ? undefined : await namesOf(dataDir).catch(() => undefined)
  const names = [...FIXED, ...(own ?? EXAMPLES)]
  const lost: string[] = []
  for (const name of names) if (!(await resolves(name))) lost.push(name)
  if (lost.length === 0) return finding(true, `${names.join(', ')} resolve for programs on this machine`)
  return finding(
    false,
    `${lost.join(', ')} ${lost.length === 1 ? 'does' : 'do'} not resolve for programs on this machine`,
    'Browsers, curl and programs under ./ownkey run do without, Python with PYTHONPATH=src/http/python too. Others in Node:',
    `node --import ${preloadWord()} app.js`,
    'For others (Go, .NET, Java, and Python on uvloop such as the proxy of LiteLLM, which asks the system by itself):',
    'apt-get install libnss-myhostname, which finds every *.localhost; or, as root, these lines in /etc/hosts:',
    ...hostsLines(lost),
    ...(own === undefined
      ? ['and a line for each vault and account that you make: --data-dir DIR of a running cloud lists them.']
      : []),
  )
}

/** `--import` reads a path as a URL, so a path with a blank or a `%` has to be written as a URL. */
function preloadWord(): string {
  const path = fileURLToPath(PRELOAD)
  return path === PRELOAD.pathname ? shellWord(path) : shellWord(PRELOAD.href)
}

function hostsLines(names: readonly string[]): string[] {
  const lines: string[] = []
  for (const name of names) {
    const longer = `${lines.at(-1) ?? ''} ${name}`
    if (lines.length > 0 && longer.length <= HOSTS_WIDTH) lines[lines.length - 1] = longer
    else lines.push(`127.0.0.1 ${name}`)
  }
  return lines
}

/** The hosts of a running cloud's vaults and accounts; undefined when none runs in the folder. */
async function namesOf(dataDir: string): Promise<string[] | undefined> {
  const endpoints = await readEndpoints(dataDir).catch(() => undefined)
  if (endpoints === undefined) return undefined
  const client = await connectAdministrator(dataDir)
  const list = async (path: string): Promise<{ readonly properties: Record<string, unknown> }[]> =>
    (await client.call<{ value: { properties: Record<string, unknown> }[] }>('GET', path)).value
  const { value: subscriptions } = await client.call<{ value: { id: string }[] }>(
    'GET',
    '/subscriptions?api-version=2022-12-01',
  )
  const found: string[] = []
  for (const { id } of subscriptions) {
    const vaults = await list(`${id}/providers/Microsoft.KeyVault/vaults?api-version=2023-07-01`)
    const accounts = await list(`${id}/providers/Microsoft.CognitiveServices/accounts?api-version=2025-06-01`)
    for (const { properties } of [...vaults, ...accounts]) {
      const url = properties['vaultUri'] ?? properties['endpoint']
      if (typeof url === 'string') found.push(new URL(url).hostname)
    }
  }
  return found
}

function resolves(name: string): Promise<boolean> {
  return systemLookup(name).then(
    () => true,
    () => false,
  )
}
