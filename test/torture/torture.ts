import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { Random } from '../support/random.ts'
import type { At } from './at.ts'
import { checkFiles, checkKey, checkReEncryption, checkSettings, checkShort, quarantined } from './checks.ts'
import { TortureCloud } from './cloud.ts'
import { checkAudit, prove, verify } from './commands.ts'
import { checkDeployments, checkJobs, endOfJobs } from './engine-checks.ts'
import type { Fault, Prepared } from './fault.ts'
import { FAULTS, pickFault } from './faults.ts'
import { Load } from './load.ts'
import { Model, type MainAccount } from './model.ts'
import { makeScene } from './scene.ts'
import { Session } from './session.ts'

export interface TortureOptions {
  readonly folder: string
  readonly rounds: number
  /** No round begins later. */
  readonly minutes?: number
  readonly seed: number
  /** `ownkey verify` and `ownkey prove` after this many rounds, and always after the last. */
  readonly proveEvery: number
  readonly faults?: readonly Fault[]
  /** Called after each round. */
  readonly tell?: (line: string) => void
}

export interface TortureReport {
  /** Rounds that were played, including one that found something. */
  readonly rounds: number
  readonly operations: number
  /** By name and outcome. */
  readonly counts: ReadonlyMap<string, number>
  /** By name. */
  readonly faults: ReadonlyMap<string, number>
  /** Everything that was lost, came back, or is otherwise not as it was acknowledged. */
  readonly wrong: readonly string[]
}

const LANES = 10
const SETTINGS = ['--key-lease-seconds', '1', '--key-watch-seconds', '1']
/** Blobs that background work may leave at a kill: a job's new checkpoint and result, a re-encryption's two files. */
const ORPHANS_OF_JOBS = 8
const ORPHANS_OF_RE_ENCRYPTION = 2
const END_OF_JOBS_SECONDS = 180

/** Plays rounds of load, fault, start and check, until something is wrong. Every choice follows from the seed, but not the timing. */
export async function torture(options: TortureOptions): Promise<TortureReport> {
  const run = new Run(options)
  let round = 0
  const until = performance.now() + (options.minutes ?? Infinity) * 60_000
  try {
    while (round < options.rounds && performance.now() < until && run.wrong.length === 0) await run.round((round += 1))
    if (run.wrong.length === 0) await run.last()
  } catch (error) {
    run.wrong.push(error instanceof Error ? (error.stack ?? error.message) : String(error))
  } finally {
    await run.end()
  }
  const { wrong, operations, faults, model } = run
  return { rounds: round, operations, counts: model.counts, faults, wrong }
}

class Run {
  readonly model = new Model()
  readonly wrong: string[] = []
  readonly faults = new Map<string, number>()
  operations = 0
  readonly #options: TortureOptions
  readonly #dataDir: string
  #port = 0
  #cloud: TortureCloud | undefined
  #known: string | undefined

  constructor(options: TortureOptions) {
    this.#options = options
    this.#dataDir = join(options.folder, 'cloud')
  }

  async round(number: number): Promise<void> {
    const { seed, faults = FAULTS, proveEvery, tell = () => {} } = this.#options
    const random = new Random((seed ^ Math.imul(number, 0x9e37_79b1)) >>> 0)
    const fault = pickFault(random, faults)
    this.faults.set(fault.name, (this.faults.get(fault.name) ?? 0) + 1)
    const began = performance.now()
    const prepared = await fault.prepare(this.#dataDir)
    const at = await this.#start(prepared, random)
    const startedMs = performance.now() - began
    if (number === 1) await makeScene(at)
    else await this.#look(at, number % proveEvery === 0)
    const lookedMs = performance.now() - began - startedMs
    if (this.wrong.length > 0) return
    const load = new Load(at, LANES)
    this.wrong.push(...(this.#cloud === undefined ? [] : await prepared.strike(this.#cloud, random)))
    await load.stop()
    this.operations += load.attempts
    this.#afterwards(at, prepared)
    if (random.chance(0.2)) await this.#killInStart(prepared, random)
    await prepared.leave(random)
    const ms = (value: number): string => `${Math.round(value)} ms`
    const times = `start ${ms(startedMs)}, look ${ms(lookedMs)}, all ${ms(performance.now() - began)}`
    tell(`round ${number}: ${fault.name}, ${load.attempts} operations; ${times}`)
  }

  /** Without faults: everything is checked, and every job comes to its end. */
  async last(): Promise<void> {
    const at = await this.#start({ env: {} }, new Random(this.#options.seed))
    await this.#look(at, false)
    for (const account of this.model.main)
      this.wrong.push(...(await endOfJobs(at, account, END_OF_JOBS_SECONDS)), ...(await checkJobs(at, account)))
    await this.#look(at, true)
    this.wrong.push(...at.session.troubles, ...((await this.#cloud?.stop()) ?? []))
  }

  async end(): Promise<void> {
    await this.#cloud?.kill()
  }

  async #start({ env }: Pick<Prepared, 'env'>, random: Random): Promise<At> {
    const args = ['--port', String(this.#port), ...SETTINGS]
    this.#cloud = await TortureCloud.in(this.#dataDir, args, env)
    const endpoints = await this.#cloud.ready()
    this.#port = endpoints.port
    return { session: new Session(endpoints), model: this.model, random }
  }

  async #look(at: At, isProven: boolean): Promise<void> {
    const { main, short, keys, mayBeOrphans } = this.model
    const aside = await quarantined(this.#dataDir)
    if (aside > mayBeOrphans)
      this.wrong.push(`${aside} blobs are in quarantine; what was under way explains ${mayBeOrphans}`)
    const own = main.map(account => this.#lookAt(at, account, isProven))
    const open = <T extends { state: { now: string | undefined } }>(all: readonly T[]): T[] =>
      all.filter(({ state }) => state.now !== 'absent')
    const others = [...open(keys).map(key => checkKey(at, key)), ...open(short).map(one => checkShort(at, one))]
    const [found, audit] = await Promise.all([Promise.all([...own, ...others]), checkAudit(this.#dataDir, this.#known)])
    this.#known = audit.known
    const proven = isProven ? [...(await verify(this.#dataDir)), ...(await prove(this.#dataDir))] : []
    found.push(audit.wrong, proven, at.session.troubles.splice(0))
    this.wrong.push(...found.flat())
  }

  /** In this order: without its key nothing opens. */
  async #lookAt(at: At, account: MainAccount, isWhole: boolean): Promise<string[]> {
    return [
      ...(await checkSettings(at, account)),
      ...(await checkReEncryption(at, account)),
      ...(await checkFiles(at, account)),
      ...(await checkJobs(at, account)),
      ...(await checkDeployments(at, account, isWhole)),
    ]
  }

  #afterwards(at: At, { mayAnswer }: Prepared): void {
    const { model } = this
    model.mayBeOrphans += ORPHANS_OF_JOBS + ORPHANS_OF_RE_ENCRYPTION * model.main.length
    this.wrong.push(...at.session.troubles.filter(text => mayAnswer?.test(text) !== true))
    const errors = (this.#cloud?.log() ?? '').split('\n').filter(line => line.includes('"level":"error"'))
    this.wrong.push(...errors.filter(line => mayAnswer?.test(line) !== true).map(line => `it logged ${line}`))
  }

  /** A start is a moment like others. */
  async #killInStart({ env }: Prepared, random: Random): Promise<void> {
    this.#cloud = await TortureCloud.in(this.#dataDir, ['--port', String(this.#port), ...SETTINGS], env)
    await sleep(50 + random.next() * 1200)
    this.wrong.push(...(await this.#cloud.kill()))
  }
}
