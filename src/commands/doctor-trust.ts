import { readFile } from 'node:fs/promises'
import { shellWord } from '../base/terminal.ts'
import { holds, readAuthority, type Authority } from '../trust/authority.ts'
import { BrowserStores } from '../trust/browser-stores.ts'
import { homeFolder } from '../trust/home-folder.ts'
import { SystemStore } from '../trust/system-store.ts'
import type { Finding } from './finding.ts'

/** Variables from which the usual clients read certificates, and the clients. */
const VARIABLES = {
  NODE_EXTRA_CA_CERTS: 'Node',
  REQUESTS_CA_BUNDLE: 'Python and az',
  SSL_CERT_FILE: 'OpenSSL, Go, .NET',
  CURL_CA_BUNDLE: 'curl',
}

/** Whether the system, this user's browsers and the programs of this shell trust the cloud's CA. */
export async function trustFindings(dataDir: string, systemRoot?: string): Promise<Finding[]> {
  const authority = await readAuthority(dataDir)
  const command = `./ownkey trust --data-dir ${shellWord(dataDir)}`
  const system = new SystemStore(systemRoot)
  const trusted = await system.trusts(authority)
  const inShell = await variablesWith(authority)
  const findings: Finding[] = [
    trusted
      ? { state: 'ok', what: `the system trusts the CA ${authority.name}: ${system.fileOf(authority)}` }
      : {
          state: inShell.length > 0 ? 'note' : 'lacking',
          what: `the system does not trust the CA ${authority.name}`,
          remedy: [command, `as root; or in each shell`, `eval "$(./ownkey env --data-dir ${shellWord(dataDir)})"`],
        },
  ]
  for (const { where, trusted: inBrowser } of await new BrowserStores(homeFolder()).trusts(authority)) {
    const browsers = where.includes('nssdb') ? 'Chromium, Chrome and Edge' : 'Firefox'
    if (inBrowser === undefined)
      findings.push({
        state: 'note',
        what: `whether ${browsers} trust the CA can't be told: certutil is not installed`,
        remedy: ['apt-get install libnss3-tools'],
      })
    else if (inBrowser) findings.push({ state: 'ok', what: `${browsers} trust the CA: ${where}` })
    else findings.push({ state: 'note', what: `${browsers} do not trust the CA: ${where}`, remedy: [command] })
  }
  for (const [name, clients] of inShell)
    findings.push({ state: 'ok', what: `${clients} of this shell trust the CA: ${name}` })
  return findings
}

async function variablesWith(authority: Authority): Promise<[string, string][]> {
  const found: [string, string][] = []
  for (const [name, clients] of Object.entries(VARIABLES)) {
    const file = process.env[name]
    if (file !== undefined && holds(await readFile(file, 'utf8').catch(() => ''), authority))
      found.push([name, clients])
  }
  return found
}
