import assert from 'node:assert/strict'
import { after, suite, test } from 'node:test'
import type { APIError } from 'openai'
import { ownkey } from '../audit/ownkey.fixture.ts'
import { Azure, pause, type TestAccount } from '../support/azure.ts'
import { cloudFor, type TestCloud } from '../support/cloud.ts'
import { failBy, failures, forgetRules, noCompiler, type Rule } from './failing-disk.ts'

/** By hand: OWNKEY_FAULT_STEPS=500 node --test --test-timeout=0 test/faults/walk.test.ts */
const STEPS = Number(process.env['OWNKEY_FAULT_STEPS'] ?? 6)
const CALLS = ['sync', 'write', 'write,sync,truncate,rename,unlink,mkdir,open'] as const
const ERRORS = ['EIO', 'ENOSPC', 'EROFS'] as const

/** The n-th step's rule: each kind of call, with each error, at later and later calls, once or from then on. */
function ruleOf(step: number): Rule {
  const calls = CALLS[step % CALLS.length] ?? 'sync'
  // A sync that fails is EIO; the others are errors of writes.
  const error = step % 3 === 0 ? 'EIO' : (ERRORS[Math.floor(step / 3) % ERRORS.length] ?? 'EIO')
  const from = 1 + ((step * 7) % (calls === 'sync' ? 23 : 61))
  return { calls, part: step % 2 === 0 ? 'records.db' : 'ownkey-test-', error, from, count: step % 4 === 3 ? 1e6 : 1 }
}

/** Nothing hangs, whatever the disk does. */
const ANSWERED_WITHIN_MS = 40_000

async function answered<T>(running: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const { stack } = new Error('asked here')
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(
      () => reject(Object.assign(new Error(`not answered: ${stack}`), { isLate: true })),
      ANSWERED_WITHIN_MS,
    )
  })
  try {
    return await Promise.race([running, late])
  } finally {
    clearTimeout(timer)
  }
}

/** What the client knows about each file, by its marker. */
type Known = 'there' | 'gone' | 'unknown'

class Walk {
  readonly cloud: TestCloud
  readonly account: TestAccount
  readonly #azure: Azure
  readonly #files = new Map<string, { id: string; known: Known }>()
  #version: string
  #count = 0
  readonly counts = { done: 0, refused: 0, unknown: 0, ended: 0 }

  constructor(cloud: TestCloud, azure: Azure, account: TestAccount, version: string) {
    this.cloud = cloud
    this.#azure = azure
    this.account = account
    this.#version = version
  }

  /** Uploads, deletions, changes of key and a re-encryption, some at once. */
  async everything(): Promise<void> {
    let isOver = false
    void this.cloud.ended.then(() => (isOver = true))
    const reEncrypt = `${this.#azure.accountPath(this.account.name)}/reEncrypt`
    const rounds = [
      () => [this.#upload(), this.#upload()],
      () => [this.#delete(), this.#upload(), this.#changeKey()],
      () => [this.#ask(() => this.#azure.arm('POST', reEncrypt))],
      () => [this.#upload(), this.#delete()],
      () => [this.#changeKey()],
      () => [this.#upload()],
    ]
    for (const round of rounds) if (!isOver) await Promise.all(round())
  }

  /** After a restart: nothing acknowledged is lost, nothing refused is half there. */
  async check(what: string): Promise<void> {
    const { data } = await this.account.openai.files.list()
    const listed = new Set(data.map(({ id }) => id))
    const named = new Map<string, string>()
    for (const id of listed) {
      const content = (await this.account.download(id)).toString()
      named.set(/Say: (marker \d+)"/.exec(content)?.[1] ?? '', id)
    }
    for (const [marker, { known }] of this.#files) {
      if (known === 'there') assert.ok(named.has(marker), `${what}: ${marker} was acknowledged and is lost`)
      if (known === 'gone') assert.ok(!named.has(marker), `${what}: ${marker} was refused or deleted and is there`)
    }
    for (const [marker, id] of named) this.#files.set(marker, { id, known: 'there' })
    for (const [marker, file] of this.#files)
      if (!named.has(marker)) this.#files.set(marker, { ...file, known: 'gone' })
    const { output, code } = await ownkey('prove', '--data-dir', this.cloud.dataDir)
    assert.equal(code, 0, `${what}: ${output}`)
  }

  async #upload(): Promise<void> {
    const marker = `marker ${(this.#count += 1)}`
    let id = ''
    const known = await this.#ask(async () => (id = await this.account.upload(marker)))
    this.#files.set(marker, { id, known: known === 'done' ? 'there' : known === 'refused' ? 'gone' : 'unknown' })
  }

  async #delete(): Promise<void> {
    const [first] = [...this.#files].filter(([, { known }]) => known === 'there')
    if (first === undefined) return
    const [marker, { id }] = first
    this.#files.set(marker, { id, known: 'unknown' })
    const known = await this.#ask(() => this.account.openai.files.delete(id))
    this.#files.set(marker, { id, known: known === 'done' ? 'gone' : known === 'refused' ? 'there' : 'unknown' })
  }

  #changeKey(): Promise<string> {
    const version = this.#version
    return this.#ask(() =>
      this.account.encrypt(this.#count % 3 === 0 ? undefined : { vault: 'kv-walk', name: 'cmk', version }),
    )
  }

  async #ask(run: () => Promise<unknown>): Promise<'done' | 'refused' | 'unknown'> {
    const outcome = await answered(run()).then(
      reply => (((reply as { status?: number } | undefined)?.status ?? 200) < 400 ? 'done' : 'refused'),
      // Cut off, or the service itself says that it does not know.
      (error: APIError & { isLate?: true }) => {
        if (error.isLate) throw error
        const { status, code } = error
        return status === undefined || code === 'OutcomeUnknown' || status === 500 ? 'unknown' : 'refused'
      },
    )
    this.counts[outcome] += 1
    return outcome
  }
}

suite('the disk fails at the n-th call', { skip: noCompiler }, async () => {
  after(forgetRules)
  if (noCompiler !== false) return
  const cloud = await cloudFor({ after })
  const azure = await Azure.in(cloud.endpoints)
  const account = await azure.account('walked')
  account.openai.maxRetries = 0
  const keys = await azure.vault('kv-walk')
  const { properties } = await keys.createRsaKey('cmk', { keySize: 2048 })
  await azure.policy('kv-walk', 'add', account.principalId)
  const walk = new Walk(cloud, azure, account, properties.version ?? '')

  test(`${STEPS} steps: after a restart nothing acknowledged is lost and nothing refused is there`, async t => {
    let failed = 0
    for (let step = 0; step < STEPS; step += 1) {
      const rule = ruleOf(step)
      const what = `step ${step}, ${JSON.stringify(rule)}`
      await failBy(rule)
      await walk.everything()
      failed += (await failures()) > 0 ? 1 : 0
      await failBy()
      const isOver = await Promise.race([cloud.ended.then(() => true), pause(700).then(() => false)])
      if (isOver) walk.counts.ended += 1
      await answered(cloud.restart('kill'))
      await answered(walk.check(what))
    }
    t.diagnostic(`in ${failed} of ${STEPS} steps calls failed: ${JSON.stringify(walk.counts)}`)
    assert.ok(failed > STEPS / 2)
  })
})
