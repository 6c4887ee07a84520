import assert from 'node:assert/strict'
import { Azure, BASE_MODEL, pause, untilRefused } from '../support/azure.ts'
import { keyedAccount, type Cause, type Keyed } from '../support/causes.ts'
import type { TestCloud } from '../support/cloud.ts'
import { engineProcesses } from '../support/engine-processes.ts'
import type { OutsideVault } from '../support/outside-vault.ts'
import { brokenInvariants, contradictions } from './invariants.ts'
import { answerTo, describe, OPERATIONS, type Spare, type Stage } from './operations.ts'
import { keepAsking } from './serving.ts'

/** One row, as it was measured. */
export interface Row {
  readonly cause: string
  /** Milliseconds from the vault's answer to the change to the first refused download, and to the paused job. */
  readonly refusedMs: number
  readonly pausedMs: number
  /** And to the end of the job's process, and to the last answer and last stream part of a deployment that stops with its key. */
  readonly processMs: number
  readonly queueMs: number
  readonly streamMs: number
  /** The refusals of its queue and its stream. */
  readonly servingEnds: readonly string[]
  readonly firstRefusal: string
  readonly pausedJob: string
  /** The messages for a refused client, in the account's own status and in the paused job's event. */
  readonly messages: readonly string[]
  /** Violations of the invariants, see invariants.ts. */
  readonly broken: readonly string[]
  /** Answers by operation. */
  readonly whileRevoked: Readonly<Record<string, string>>
  readonly afterRestart: Readonly<Record<string, string>>
  /** Absent where there is no way back. */
  readonly givenBack?: Readonly<Record<string, string>>
}

/** The setting in which a row is played. */
export type Setting = Omit<Stage, 'spare' | 'runningJob'>

/** A running job that lasts longer than any row. */
const LONG = { hyperparameters: { n_epochs: 60, batch_size: 2 } }

const SPARES = ['spare', 'another-spare'] as const

export async function openStage(cloud: TestCloud, name = 'truth', outside?: OutsideVault): Promise<Setting> {
  const azure = await Azure.in(cloud.endpoints)
  const keyed = await keyedAccount(azure, name, outside)
  const file = await keyed.account.upload('kept')
  const { model, results, job } = await trained(keyed, file)
  assert.equal((await keyed.account.deploy('served', model)).status, 201)
  assert.equal((await keyed.account.deploy('stopping', model, 'stop')).status, 201)
  const { properties } = await keyed.keys.getKey(keyed.key)
  return { keyed, newerVersion: properties.version ?? '', file, results, model, finishedJob: job }
}

/** Plays a cause. Where that fails in the middle, the stage is restored, since later causes are played there. */
export async function play(cloud: TestCloud, before: Setting, cause: Cause): Promise<Row> {
  try {
    return await playWhole(cloud, before, cause)
  } catch (error) {
    await cause.restore?.(before.keyed, cloud).catch(() => {})
    for (const name of SPARES) await before.keyed.account.undeploy(name).catch(() => {})
    throw error
  }
}

/** Takes the key away in one way, tries everything, restarts the service, tries again, gives the key back, tries again. */
async function playWhole(cloud: TestCloud, before: Setting, cause: Cause): Promise<Row> {
  const { keyed } = before
  const { account } = keyed
  const spares = [await spareOf(keyed, SPARES[0]), await spareOf(keyed, SPARES[1])] as const
  const runningJob = await account.train(before.file, LONG)
  const stage = { ...before, runningJob }
  while ((await jobOf(stage)).status !== 'running' || !(await hasStepped(stage))) await pause(50)

  await account.download(before.file)
  const asking = cause.tampers ? undefined : keepAsking(account, 'stopping')
  await pause(300)
  await cause.revoke(keyed, cloud)
  const since = performance.now()
  const [first, pausedMs, processMs, served] = await Promise.all([
    untilRefused(() => account.download(before.file)),
    account.jobIs(runningJob, ['paused'], 30).then(() => performance.now() - since),
    untilGone(cloud.pid).then(() => performance.now() - since),
    asking ?? keepAsking(account, 'stopping'),
  ])
  const { data } = await account.openai.fineTuning.jobs.listEvents(runningJob, { limit: 5 })
  const pausedJob = data.find(({ level }) => level === 'error')?.message ?? ''
  const whileRevoked = await tryAll({ ...stage, spare: spares[0] })
  const { status } = await account.encryption()
  const broken = cause.tampers ? await unfound(cloud) : await brokenInvariants(cloud, keyed.azure)
  await cloud.restart()
  const afterRestart = await tryAll({ ...stage, spare: spares[1] })
  await cause.restore?.(keyed, cloud)
  const givenBack =
    cause.restore === undefined ? undefined : await tryAll({ ...stage, spare: await spareOf(keyed, SPARES[0]) })
  await account.openai.fineTuning.jobs.cancel(runningJob)
  broken.push(...(await brokenInvariants(cloud, keyed.azure)))
  const refusedMs = first.seconds * 1000
  return {
    cause: cause.name,
    refusedMs,
    pausedMs,
    processMs,
    queueMs: Math.max(0, served.queueAt - since),
    streamMs: Math.max(0, served.streamAt - since),
    servingEnds: served.refusals,
    firstRefusal: describe(first),
    pausedJob,
    messages: [first.message, status?.message ?? '', pausedJob],
    broken,
    whileRevoked,
    afterRestart,
    ...(givenBack === undefined ? {} : { givenBack }),
  }
}

/** What was tampered with breaks the invariants, and `ownkey prove` says so. */
async function unfound(cloud: TestCloud): Promise<string[]> {
  const found = await contradictions(cloud)
  const isFound = found.some(what => what.includes("data keys can't be used"))
  return isFound ? [] : [`ownkey prove did not find what was put back: ${found.join(', ')}`]
}

async function untilGone(pid: number): Promise<void> {
  while (engineProcesses(pid, 'trainer') > 0) await pause(20)
}

async function tryAll(stage: Stage): Promise<Record<string, string>> {
  const answers: Record<string, string> = {}
  for (const operation of OPERATIONS) answers[operation.name] = await answerTo(operation, stage)
  return answers
}

type Running = Omit<Stage, 'spare'>

const jobOf = ({ keyed, runningJob }: Running) => keyed.account.openai.fineTuning.jobs.retrieve(runningJob)

async function hasStepped({ keyed, runningJob }: Running): Promise<boolean> {
  const { data } = await keyed.account.openai.fineTuning.jobs.listEvents(runningJob, { limit: 1 })
  return data.some(({ type }) => type === 'metrics')
}

async function spareOf(keyed: Keyed, deployment: string): Promise<Spare> {
  const { account } = keyed
  const file = await account.upload('to be deleted')
  const { model } = await trained(keyed, file)
  assert.equal((await account.deploy(deployment, model)).status, 201)
  return { file, model, deployment }
}

async function trained({ account }: Keyed, file: string): Promise<{ model: string; results: string; job: string }> {
  const hyperparameters = { n_epochs: 1, batch_size: 4 }
  const job = await account.train(file, { model: BASE_MODEL, hyperparameters })
  const {
    fine_tuned_model: model,
    result_files: [results = ''],
  } = await account.jobIs(job, ['succeeded'])
  assert.ok(model)
  return { model, results, job }
}
