import type { KeyClient } from '@azure/keyvault-keys'
import type { AzureOpenAI } from 'openai'
import type { Endpoints } from '../base/endpoints.ts'
import { administratorCredential, ArmClient, keyClient, openAiClient } from './azure-client.ts'

const COGNITIVE = '2025-06-01'
const VAULTS = '2023-07-01'

/** One group, one account, one vault with one key. */
export class Scene {
  readonly endpoints: Endpoints
  readonly dataDir: string
  readonly group = 'demo'
  readonly account = 'contoso'
  readonly vault = 'contoso-keys'
  readonly key = 'at-rest'
  readonly keys: KeyClient
  readonly #arm: ArmClient
  #openai: AzureOpenAI | undefined
  principalId = ''

  constructor(endpoints: Endpoints, dataDir: string) {
    this.endpoints = endpoints
    this.dataDir = dataDir
    const credential = administratorCredential(endpoints)
    this.#arm = new ArmClient(endpoints, credential)
    this.keys = keyClient(endpoints, credential, this.vault)
  }

  get openai(): AzureOpenAI {
    if (this.#openai === undefined) throw new Error('The account does not exist yet.')
    return this.#openai
  }

  async createGroup(): Promise<void> {
    await this.#arm.call('PUT', `/resourceGroups/${this.group}`, '2025-04-01', { location: this.endpoints.location })
  }

  async createAccount(): Promise<void> {
    const account = await this.#arm.call<{ identity: { principalId: string } }>('PUT', this.#accountPath(), COGNITIVE, {
      location: this.endpoints.location,
      kind: 'OpenAI',
      sku: { name: 'S0' },
      identity: { type: 'SystemAssigned' },
      properties: { customSubDomainName: this.account },
    })
    this.principalId = account.identity.principalId
    const { key1 } = await this.#arm.call<{ key1: string }>('POST', `${this.#accountPath()}/listKeys`, COGNITIVE)
    this.#openai = openAiClient(this.endpoints, this.account, key1)
  }

  /** The vault with soft delete and purge protection; the administrator may manage its keys. */
  async createVault(administratorObjectId: string): Promise<void> {
    const { tenantId, location } = this.endpoints
    const manage = ['create', 'get', 'list', 'update', 'delete', 'recover', 'rotate']
    await this.#arm.call('PUT', this.#vaultPath(), VAULTS, {
      location,
      properties: {
        tenantId,
        sku: { family: 'A', name: 'standard' },
        enableSoftDelete: true,
        enablePurgeProtection: true,
        accessPolicies: [{ tenantId, objectId: administratorObjectId, permissions: { keys: manage } }],
      },
    })
  }

  grant(): Promise<unknown> {
    return this.#policy('add', ['get', 'wrapKey', 'unwrapKey'])
  }

  /** What the article's `az keyvault delete-policy` does. */
  revoke(): Promise<unknown> {
    return this.#policy('remove', ['get', 'wrapKey', 'unwrapKey'])
  }

  /** @param keyVersion undefined: service-managed keys */
  async setEncryption(keyVersion: string | undefined): Promise<void> {
    const keyVaultUri = `https://${this.vault}${this.endpoints.keyVaultSuffix}/`
    const encryption =
      keyVersion === undefined
        ? { keySource: 'Microsoft.CognitiveServices' }
        : { keySource: 'Microsoft.KeyVault', keyVaultProperties: { keyVaultUri, keyName: this.key, keyVersion } }
    await this.#arm.call('PATCH', this.#accountPath(), COGNITIVE, { properties: { encryption } })
  }

  async deploy(name: string, model: string): Promise<void> {
    const body = {
      sku: { name: 'Standard', capacity: 1 },
      properties: { model: { format: 'OpenAI', name: model, version: '1' } },
    }
    await this.#arm.call('PUT', `${this.#accountPath()}/deployments/${name}`, COGNITIVE, body)
  }

  async deleteDeployment(name: string): Promise<void> {
    await this.#arm.call('DELETE', `${this.#accountPath()}/deployments/${name}`, COGNITIVE)
  }

  async chat(deployment: string, question: string): Promise<string> {
    const messages = [
      { role: 'system' as const, content: 'Marv is a factual chatbot that is also sarcastic.' },
      { role: 'user' as const, content: question },
    ]
    const answer = await this.openai.chat.completions.create({
      model: deployment,
      messages,
      max_tokens: 60,
      temperature: 0,
    })
    return (answer.choices[0]?.message.content ?? '').trim()
  }

  #policy(operation: 'add' | 'remove', keys: string[]): Promise<unknown> {
    const accessPolicies = [{ tenantId: this.endpoints.tenantId, objectId: this.principalId, permissions: { keys } }]
    return this.#arm.call('PUT', `${this.#vaultPath()}/accessPolicies/${operation}`, VAULTS, {
      properties: { accessPolicies },
    })
  }

  #accountPath(): string {
    return `/resourceGroups/${this.group}/providers/Microsoft.CognitiveServices/accounts/${this.account}`
  }

  #vaultPath(): string {
    return `/resourceGroups/${this.group}/providers/Microsoft.KeyVault/vaults/${this.vault}`
  }
}

/** The object id of the token's holder: the `oid` claim. */
export async function administratorObjectId(endpoints: Endpoints): Promise<string> {
  const token = await administratorCredential(endpoints).getToken(`${endpoints.resourceManager}/.default`)
  const payload = token?.token.split('.')[1] ?? ''
  return (JSON.parse(Buffer.from(payload, 'base64url').toString('utf8')) as { oid: string }).oid
}
