import { readEndpoints } from '../endpoints.ts'

/** The environment that points clients at a running cloud. */
export async function printEnvironment(options: { dataDir: string; format: string }): Promise<number> {
  const {
    authority,
    tenantId,
    administrator,
    caCertificate,
    resourceManager,
    subscriptionId,
    openAiSuffix,
    keyVaultSuffix,
  } = await readEndpoints(options.dataDir)
  const variables = {
    AZURE_AUTHORITY_HOST: authority,
    AZURE_TENANT_ID: tenantId,
    AZURE_CLIENT_ID: administrator.clientId,
    AZURE_CLIENT_SECRET: administrator.clientSecret,
    AZURE_SUBSCRIPTION_ID: subscriptionId,
    NODE_EXTRA_CA_CERTS: caCertificate,
    REQUESTS_CA_BUNDLE: caCertificate,
    SSL_CERT_FILE: caCertificate,
    OWNKEY_RESOURCE_MANAGER: resourceManager,
    OWNKEY_OPENAI_SUFFIX: openAiSuffix,
    OWNKEY_KEY_VAULT_SUFFIX: keyVaultSuffix,
  }
  if (options.format === 'json') process.stdout.write(`${JSON.stringify(variables, null, 2)}\n`)
  else if (options.format === 'shell')
    for (const [name, value] of Object.entries(variables))
      process.stdout.write(`export ${name}='${value.replaceAll("'", `'\\''`)}'\n`)
  else throw new Error(`--format ${options.format} is not known: use shell or json.`)
  return 0
}
