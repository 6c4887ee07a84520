import { lookup } from 'node:dns/promises'
import { connect } from 'node:net'
import { fileURLToPath } from 'node:url'
import { readAuthority } from '../trust/authority.ts'
import { SystemStore } from '../trust/system-store.ts'
import { stoppedCloud } from '../base/data-folder.ts'
import { readEndpoints, type Endpoints } from '../base/endpoints.ts'
import { shellQuoted } from '../base/terminal.ts'
import { besideProxy } from './beside-proxy.ts'

/** The environment that points clients at a running cloud. */
export async function printEnvironment(options: {
  dataDir: string
  format: 'shell' | 'az' | 'json'
  systemRoot: string | undefined
}): Promise<number> {
  const variables = await clientEnvironment(options)
  if (options.format === 'json') process.stdout.write(`${JSON.stringify(variables, null, 2)}\n`)
  else if (options.format === 'shell')
    for (const [name, value] of Object.entries(variables))
      process.stdout.write(`export ${name}=${shellQuoted(value)}\n`)
  else {
    const lines = await azLines(await readEndpoints(options.dataDir), variables.SSL_CERT_FILE)
    process.stdout.write(`${lines.join('\n')}\n`)
  }
  return 0
}

/** The variables that point clients at the cloud running in a folder. @throws when none does */
export async function clientEnvironment(options: { dataDir: string; systemRoot: string | undefined }) {
  const endpoints = await readEndpoints(options.dataDir)
  if (!(await isListening(endpoints.port))) throw stoppedCloud(options.dataDir)
  const bundle = await bundleOf(endpoints, options)
  const {
    authority,
    tenantId,
    administrator,
    caCertificate,
    resourceManager,
    subscriptionId,
    openAiSuffix,
    keyVaultSuffix,
  } = endpoints
  return {
    AZURE_AUTHORITY_HOST: authority,
    AZURE_TENANT_ID: tenantId,
    AZURE_CLIENT_ID: administrator.clientId,
    AZURE_CLIENT_SECRET: administrator.clientSecret,
    AZURE_SUBSCRIPTION_ID: subscriptionId,
    NODE_EXTRA_CA_CERTS: caCertificate,
    REQUESTS_CA_BUNDLE: bundle,
    SSL_CERT_FILE: bundle,
    OWNKEY_RESOURCE_MANAGER: resourceManager,
    OWNKEY_OPENAI_SUFFIX: openAiSuffix,
    OWNKEY_KEY_VAULT_SUFFIX: keyVaultSuffix,
    ...besideProxy(),
  }
}

/** These variables replace everything that a client trusts. Where the system trusts the CA, the system's bundle keeps the internet in reach. */
async function bundleOf(
  { caCertificate }: Endpoints,
  { dataDir, systemRoot }: { dataDir: string; systemRoot: string | undefined },
): Promise<string> {
  const system = new SystemStore(systemRoot)
  return (await system.trusts(await readAuthority(dataDir))) ? system.bundle : caCertificate
}

/** Registers the cloud with the az CLI and logs in, in any POSIX shell. The secret goes through a pipe, so it is not in the process list. */
async function azLines({ resourceManager, tenantId, administrator }: Endpoints, bundle: string): Promise<string[]> {
  const isResolved = await lookup(new URL(resourceManager).hostname).then(
    () => true,
    () => false,
  )
  const names = fileURLToPath(new URL('../http/python', import.meta.url))
  return [
    `export REQUESTS_CA_BUNDLE=${shellQuoted(bundle)}`,
    ...Object.entries(besideProxy()).map(([name, value]) => `export ${name}=${shellQuoted(value)}`),
    // Microsoft's list of instances does not have this authority.
    'export AZURE_CORE_INSTANCE_DISCOVERY=false',
    ...(isResolved
      ? []
      : [`export PYTHONPATH=${shellQuoted(names)} # this machine does not find *.localhost by itself`]),
    'az cloud set --name AzureCloud --only-show-errors',
    'az cloud unregister --name OwnKey --only-show-errors 2>/dev/null || :',
    `az cloud register --name OwnKey --endpoint-resource-manager ${shellQuoted(resourceManager)} --only-show-errors`,
    'az cloud set --name OwnKey --only-show-errors',
    // printf is built into every shell. az reads the file after '@', and its input for '-'.
    `printf %s ${shellQuoted(administrator.clientSecret)} | az login --service-principal --tenant ${tenantId} --username ${administrator.clientId} --password=@- --output none`,
  ]
}

/** Whether a program listens there, since a killed cloud leaves its endpoints.json. */
function isListening(port: number): Promise<boolean> {
  return new Promise(resolve => {
    const socket = connect({ port, host: '127.0.0.1' }, () => {
      socket.destroy()
      resolve(true)
    })
    socket.once('error', ({ code }: NodeJS.ErrnoException) => resolve(code !== 'ECONNREFUSED'))
  })
}
