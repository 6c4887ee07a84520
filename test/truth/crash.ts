import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { KeyClient } from '@azure/keyvault-keys'
import { Azure, pause, untilRefused, type TestAccount } from '../support/azure.ts'
import { cloudFor, type TestCloud } from '../support/cloud.ts'
import { brokenInvariants } from './invariants.ts'

/**
 * Kills the service right after its n-th commit while it changes a key, for n = 1, 2, … until the change succeeds.
 * Between two commits nothing relevant changes on the disk, so these are all states that a crash at any step can leave.
 */
export class Crashing {
  readonly cloud: TestCloud
  readonly azure: Azure
  readonly account: TestAccount
  readonly #file: string
  readonly #control: string
  readonly #keys: KeyClient

  private constructor(parts: {
    cloud: TestCloud
    azure: Azure
    account: TestAccount
    file: string
    control: string
    keys: KeyClient
  }) {
    this.cloud = parts.cloud
    this.azure = parts.azure
    this.account = parts.account
    this.#file = parts.file
    this.#control = parts.control
    this.#keys = parts.keys
  }

  static async open(test: { after(fn: () => Promise<void>): void }): Promise<Crashing> {
    const folder = await mkdtemp(join(tmpdir(), 'ownkey-die-'))
    const control = join(folder, 'die-at')
    const before = process.env['NODE_OPTIONS']
    process.env['OWNKEY_TEST_DIE_AT'] = control
    process.env['NODE_OPTIONS'] = `--import=${new URL('../support/die-at-commit.mjs', import.meta.url).href}`
    test.after(async () => {
      if (before === undefined) delete process.env['NODE_OPTIONS']
      else process.env['NODE_OPTIONS'] = before
      await rm(folder, { recursive: true, force: true })
    })
    const cloud = await cloudFor(test, ['--key-watch-seconds', '1'])
    const azure = await Azure.in(cloud.endpoints)
    const account = await azure.account('crashing')
    const keys = await azure.vault('kv-crash')
    const other = await azure.vault('kv-other')
    for (const [client, name] of [
      [keys, 'cmk'],
      [keys, 'another'],
      [other, 'cmk'],
    ] as const)
      await client.createRsaKey(name, { keySize: 2048 })
    for (const vault of ['kv-crash', 'kv-other']) await azure.policy(vault, 'add', account.principalId)
    const file = await account.upload('through every crash')
    return new Crashing({ cloud, azure, account, file, control, keys })
  }

  /** In an order in which each has what it needs. */
  readonly changes: Readonly<Record<string, () => Promise<{ status: number }>>> = {
    'enable by key URI': async () =>
      this.account.encrypt({ vault: 'kv-crash', name: 'cmk', version: await this.#latest() }),
    'another version': async () =>
      this.account.encrypt({ vault: 'kv-crash', name: 'cmk', version: await this.#latest() }),
    'another key': () => this.account.encrypt({ vault: 'kv-crash', name: 'another' }),
    'another vault': () => this.account.encrypt({ vault: 'kv-other', name: 'cmk' }),
    disable: () => this.account.encrypt(),
    'enable without a version': () => this.account.encrypt({ vault: 'kv-crash', name: 'cmk' }),
    'follow a rotation by itself': () => this.#follow(),
  }

  /** Resolves to the number of kills, and to what was wrong after one of them. */
  async dieAtEveryCommit(name: string): Promise<{ deaths: number; wrong: string[] }> {
    const wrong: string[] = []
    if (name === 'another version') await this.#keys.rotateKey('cmk')
    for (let at = 1; ; at++) {
      assert.ok(at < 60, 'the change never ends')
      await writeFile(this.#control, String(at))
      const status = await this.changes[name]?.().then(
        answer => answer.status,
        () => undefined,
      )
      await rm(this.#control)
      const isDone = status !== undefined
      if (isDone && status !== 200) wrong.push(`${name}: answered ${status}`)
      if (!isDone) await this.cloud.restart('kill')
      wrong.push(...(await this.#look(at)).map(what => `${name}, after commit ${at}: ${what}`))
      if (isDone) return { deaths: at - 1, wrong }
    }
  }

  /** The account's settings must name the key that wraps its keys, which shows in the effect of the vault's refusal. */
  async #look(at: number): Promise<string[]> {
    const text = (await this.account.download(this.#file)).toString()
    const broken = text.includes('through every crash') ? [] : ['the data is not what it was']
    const { keySource, keyVaultProperties: key } = await this.account.encryption()
    if (keySource === 'Microsoft.KeyVault' && at % 4 === 0) {
      const vault = new URL(key.keyVaultUri).hostname.split('.')[0] ?? ''
      await this.azure.policy(vault, 'remove', this.account.principalId)
      await untilRefused(() => this.account.download(this.#file))
      await this.azure.policy(vault, 'add', this.account.principalId)
    }
    return [...broken, ...(await brokenInvariants(this.cloud, this.azure))]
  }

  async #latest(): Promise<string> {
    return (await this.#keys.getKey('cmk')).properties.version ?? ''
  }

  /** A key URI without a version: rotated, the watch takes the new one into use. */
  async #follow(): Promise<{ status: number }> {
    await this.#keys.rotateKey('cmk')
    const latest = (await this.#keys.getKey('cmk')).id
    for (const deadline = Date.now() + 15_000; ;) {
      if ((await this.account.encryption()).status.keyIdentifier === latest) return { status: 200 }
      if (Date.now() > deadline) return { status: 504 }
      await pause(100)
    }
  }
}
