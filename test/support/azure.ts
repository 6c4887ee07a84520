import assert from 'node:assert/strict'
import type { TokenCredential } from '@azure/core-auth'
import type { KeyClient } from '@azure/keyvault-keys'
import { APIError, toFile, type AzureOpenAI } from 'openai'
import { administratorCredential, keyClient, openAiClient } from '../../src/harness/azure-client.ts'
import { administratorObjectId } from '../../src/harness/scene.ts'
import type { Endpoints } from '../../src/base/endpoints.ts'

export interface Reply {
  readonly status: number
  readonly headers: Headers
  // Tests read bodies of every shape.
  // oxlint-disable-next-line typescript/no-explicit-any
  readonly body: any
}

/** An error of any plane, in one shape. */
export interface Refusal {
  readonly status: number
  readonly code: string
  readonly message: string
}

export const KEY_PERMISSIONS = ['get', 'wrapKey', 'unwrapKey']
export const BASE_MODEL = 'gpt-4o-mini-2024-07-18'
export const MANAGE = [
  'create',
  'get',
  'list',
  'update',
  'delete',
  'recover',
  'purge',
  'rotate',
  'import',
  'backup',
  'restore',
]
const COGNITIVE = '2025-06-01'
const VAULTS = '2023-07-01'

/** A user of a cloud: plain HTTP for Resource Manager, the official clients for the rest. */
export class Azure {
  readonly endpoints: Endpoints
  /** The acting principal, which after a move to another tenant is one of that tenant. */
  credential: TokenCredential
  readonly group = 'tests'

  constructor(endpoints: Endpoints) {
    this.endpoints = endpoints
    this.credential = administratorCredential(endpoints)
  }

  /** A group, and the administrator. */
  static async in(endpoints: Endpoints): Promise<Azure> {
    const azure = new Azure(endpoints)
    const { location } = endpoints
    const { status, body } = await azure.arm('PUT', `/resourceGroups/${azure.group}`, { location }, '2025-04-01')
    assert.ok(status < 300, JSON.stringify(body))
    return azure
  }

  /** @param path below the subscription */
  arm(method: string, path: string, body?: object, version = COGNITIVE): Promise<Reply> {
    const separator = path.includes('?') ? '&' : '?'
    const { subscriptionId } = this.endpoints
    return this.armRoot(method, `/subscriptions/${subscriptionId}${path}${separator}api-version=${version}`, body)
  }

  /** @param path below Resource Manager, with its query */
  async armRoot(method: string, path: string, body?: object): Promise<Reply> {
    const { resourceManager } = this.endpoints
    const token = await this.credential.getToken(`${resourceManager}/.default`)
    const response = await fetch(`${resourceManager}${path}`, {
      method,
      headers: { authorization: `Bearer ${token?.token ?? ''}`, 'content-type': 'application/json' },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    })
    const text = await response.text()
    return { status: response.status, headers: response.headers, body: text === '' ? undefined : JSON.parse(text) }
  }

  accountPath(name: string): string {
    return `/resourceGroups/${this.group}/providers/Microsoft.CognitiveServices/accounts/${name}`
  }

  vaultPath(name: string): string {
    return `/resourceGroups/${this.group}/providers/Microsoft.KeyVault/vaults/${name}`
  }

  vaultUri(name: string): string {
    return `https://${name}${this.endpoints.keyVaultSuffix}/`
  }

  /** An account with a system-assigned identity, unless told otherwise. */
  async account(name: string, identity = 'SystemAssigned'): Promise<TestAccount> {
    const made = await this.arm('PUT', this.accountPath(name), {
      location: this.endpoints.location,
      kind: 'OpenAI',
      sku: { name: 'S0' },
      identity: { type: identity },
      properties: { customSubDomainName: name },
    })
    assert.ok(made.status < 300, JSON.stringify(made.body))
    const { body } = await this.arm('POST', `${this.accountPath(name)}/listKeys`)
    const openai = openAiClient(this.endpoints, name, body.key1)
    return new TestAccount(this, name, made.body.identity?.principalId ?? '', openai)
  }

  /** @returns the path, below the subscription, of the soft-deleted account */
  async deleteAccount(name: string): Promise<string> {
    const { location } = (await this.arm('GET', this.accountPath(name))).body
    const { status, body } = await this.arm('DELETE', this.accountPath(name))
    assert.ok(status < 300, JSON.stringify(body))
    return `/providers/Microsoft.CognitiveServices/locations/${location}/resourceGroups/${this.group}/deletedAccounts/${name}`
  }

  async purgeAccount(name: string): Promise<void> {
    const { status, body } = await this.arm('DELETE', await this.deleteAccount(name))
    assert.ok(status < 300, JSON.stringify(body))
  }

  /** A vault with soft delete and purge protection in which the administrator manages keys. */
  async vault(name: string, properties: object = {}): Promise<KeyClient> {
    const { tenantId, location } = this.endpoints
    const objectId = await administratorObjectId(this.endpoints)
    const made = await this.arm(
      'PUT',
      this.vaultPath(name),
      {
        location,
        properties: {
          tenantId,
          sku: { family: 'A', name: 'standard' },
          enableSoftDelete: true,
          enablePurgeProtection: true,
          enableRbacAuthorization: false,
          accessPolicies: [{ tenantId, objectId, permissions: { keys: MANAGE } }],
          ...properties,
        },
      },
      VAULTS,
    )
    assert.ok(made.status < 300, JSON.stringify(made.body))
    return this.keys(name)
  }

  /** The official client of an existing vault. */
  keys(vault: string): KeyClient {
    return keyClient(this.endpoints, this.credential, vault)
  }

  /** `kind` add, replace or remove, as az does it. */
  async policy(
    vault: string,
    kind: 'add' | 'replace' | 'remove',
    objectId: string,
    keys = KEY_PERMISSIONS,
  ): Promise<void> {
    const accessPolicies = [{ tenantId: this.endpoints.tenantId, objectId, permissions: { keys } }]
    const { status, body } = await this.arm(
      'PUT',
      `${this.vaultPath(vault)}/accessPolicies/${kind}`,
      { properties: { accessPolicies } },
      VAULTS,
    )
    assert.ok(status < 300, JSON.stringify(body))
  }

  /** Object id of the person who signs in to the portal. */
  async administratorUserId(): Promise<string> {
    const { authority, administrator } = this.endpoints
    const token = await this.credential.getToken('https://graph.microsoft.com/.default')
    const response = await fetch(`${authority}/v1.0/users`, { headers: { authorization: `Bearer ${token?.token}` } })
    const { value } = (await response.json()) as { value: { id: string; userPrincipalName: string }[] }
    return value.find(({ userPrincipalName }) => userPrincipalName === administrator.userName)?.id ?? ''
  }

  async patchVault(name: string, properties: object): Promise<Reply> {
    return this.arm('PATCH', this.vaultPath(name), { properties }, VAULTS)
  }
}

/** A key of one of the cloud's vaults, or of any by its URI; without a version the latest. */
type KeyPlace = ({ readonly vault: string } | { readonly uri: string }) & {
  readonly name: string
  readonly version?: string | undefined
}

/** An account and its data. */
export class TestAccount {
  readonly azure: Azure
  readonly name: string
  readonly principalId: string
  readonly openai: AzureOpenAI

  constructor(azure: Azure, name: string, principalId: string, openai: AzureOpenAI) {
    this.azure = azure
    this.name = name
    this.principalId = principalId
    this.openai = openai
  }

  /** Under a customer's key, or service-managed keys when `key` is undefined. */
  encrypt(key?: KeyPlace): Promise<Reply> {
    const encryption =
      key === undefined
        ? { keySource: 'Microsoft.CognitiveServices' }
        : {
            keySource: 'Microsoft.KeyVault',
            keyVaultProperties: {
              keyVaultUri: 'uri' in key ? key.uri : this.azure.vaultUri(key.vault),
              keyName: key.name,
              keyVersion: key.version ?? '',
            },
          }
    return this.patch({ properties: { encryption } })
  }

  async encryption(): Promise<Reply['body']> {
    const { status, body } = await this.azure.arm('GET', this.azure.accountPath(this.name))
    assert.equal(status, 200, JSON.stringify(body))
    return body.properties.encryption
  }

  patch(body: object): Promise<Reply> {
    return this.azure.arm('PATCH', this.azure.accountPath(this.name), body)
  }

  /** Ten examples or more; `marker` stands in the first. */
  async upload(marker = 'no marker', filename = 'train.jsonl', examples = 12): Promise<string> {
    const line = (n: number): string =>
      JSON.stringify({
        messages: [
          { role: 'user', content: n === 0 ? `Say: ${marker}` : `Say number ${n}.` },
          { role: 'assistant', content: n === 0 ? marker : `Number ${n}, gladly.` },
        ],
      })
    const content = Array.from({ length: examples }, (_, n) => line(n)).join('\n')
    const file = await toFile(Buffer.from(content), filename)
    return (await this.openai.files.create({ file, purpose: 'fine-tune' })).id
  }

  async download(fileId: string): Promise<Buffer> {
    return Buffer.from(await (await this.openai.files.content(fileId)).arrayBuffer())
  }

  /** Starts a job of few steps. */
  async train(fileId: string, more: object = {}): Promise<string> {
    const job = await this.openai.fineTuning.jobs.create({
      model: BASE_MODEL,
      training_file: fileId,
      seed: 1,
      hyperparameters: { n_epochs: 2, batch_size: 4 },
      ...more,
    })
    return job.id
  }

  /** Waits until the job is in one of the states; by default as long as a busy machine may take. Resolves to the job. */
  async jobIs(jobId: string, states: readonly string[], seconds = 180) {
    const deadline = Date.now() + seconds * 1000
    for (;;) {
      const job = await this.openai.fineTuning.jobs.retrieve(jobId)
      if (states.includes(job.status)) return job
      if (['failed', 'cancelled', 'succeeded'].includes(job.status) || Date.now() > deadline)
        assert.fail(`the job is ${job.status}, not ${states.join(' or ')}: ${job.error?.message ?? ''}`)
      await pause(100)
    }
  }

  /** @param onKeyUnavailable `stop` or, by default, `serve` */
  async deploy(name: string, model: string, onKeyUnavailable?: string): Promise<Reply> {
    return this.azure.arm('PUT', `${this.azure.accountPath(this.name)}/deployments/${name}`, {
      sku: { name: 'Standard', capacity: 1 },
      properties: { model: { format: 'OpenAI', name: model, version: '1' }, onKeyUnavailable },
    })
  }

  undeploy(name: string): Promise<Reply> {
    return this.azure.arm('DELETE', `${this.azure.accountPath(this.name)}/deployments/${name}`)
  }

  async chat(deployment: string, question = 'Say number 3.'): Promise<string> {
    const answer = await this.openai.chat.completions.create({
      model: deployment,
      messages: [{ role: 'user', content: question }],
      max_tokens: 16,
      temperature: 0,
    })
    return answer.choices[0]?.message.content ?? ''
  }
}

export const pause = (milliseconds: number): Promise<void> => new Promise(resolve => setTimeout(resolve, milliseconds))

/** How an attempt was refused; undefined when it went through. */
export async function refusal(attempt: () => Promise<unknown>): Promise<Refusal | undefined> {
  try {
    const result = await attempt()
    const reply = result as Reply | undefined
    if (typeof reply?.status !== 'number' || reply.status < 400) return undefined
    return { status: reply.status, code: reply.body?.error?.code ?? '', message: reply.body?.error?.message ?? '' }
  } catch (error) {
    if (error instanceof APIError) return { status: error.status ?? 0, code: error.code ?? '', message: error.message }
    throw error
  }
}

/** What fetch says of a download that ended before its length. */
const isCut = (error: unknown): boolean => error instanceof TypeError && error.message === 'terminated'

/**
 * Tries until it is refused. Resolves to the refusal and the seconds it took.
 * A download that was under way when the access ended is cut, which is not a refusal yet: it is asked for again.
 */
export async function untilRefused(
  attempt: () => Promise<unknown>,
  seconds = 10,
): Promise<Refusal & { seconds: number }> {
  const start = performance.now()
  for (;;) {
    const refused = await refusal(() => attempt().catch(error => (isCut(error) ? undefined : Promise.reject(error))))
    const taken = (performance.now() - start) / 1000
    if (refused !== undefined) return { ...refused, seconds: taken }
    if (taken > seconds) assert.fail(`still allowed after ${seconds} s`)
    await pause(50)
  }
}

/** Tries until it goes through. Resolves to the seconds it took. */
export async function untilAllowed(attempt: () => Promise<unknown>, seconds = 10): Promise<number> {
  const start = performance.now()
  for (;;) {
    const refused = await refusal(attempt)
    const taken = (performance.now() - start) / 1000
    if (refused === undefined) return taken
    if (taken > seconds) assert.fail(`still refused after ${seconds} s: ${refused.code} ${refused.message}`)
    await pause(50)
  }
}
