import { attempt, pickOf, type At, type Operation } from './at.ts'
import { uploadTo } from './data-operations.ts'
import { Known, type DeploymentItem, type JobItem, type MainAccount } from './model.ts'
import { bodyOf, type Outcome, type Session } from './session.ts'

const BASE_MODEL = 'gpt-4o-mini-2024-07-18'
/** The most jobs of one account, since training takes all cores. */
const MOST_JOBS = 2
const MOST_DEPLOYMENTS = 2

/** A short answer, the same each time. */
export function chat(session: Session, account: MainAccount, deployment: string): Promise<Outcome> {
  const messages = [{ role: 'user', content: 'Say number 3.' }]
  return session.data('POST', account, '/chat/completions', {
    model: deployment,
    messages,
    max_tokens: 8,
    temperature: 0,
  })
}

export function answerOf(outcome: Outcome): string {
  return bodyOf(outcome).choices[0].message.content ?? ''
}

/** An account's own path below its subscription. */
export const pathOf = (name: string): string =>
  `/resourceGroups/torture/providers/Microsoft.CognitiveServices/accounts/${name}`

async function createJob(at: At, account: MainAccount): Promise<unknown> {
  const isReady = ({ state, id, isTraining }: MainAccount['files'][number]): boolean =>
    state.isFree && state.now === 'here' && id !== undefined && !isTraining
  const file = pickOf(at.random, account.files, isReady)
  if (file === undefined) return uploadTo(at, account)
  const item: JobItem = {
    name: at.model.name('job'),
    file,
    state: new Known<JobItem['state']['possible'][number]>('absent'),
    model: new Known<'here' | 'gone'>('gone'),
  }
  file.isTraining = true
  account.jobs.push(item)
  const outcome = await attempt(at, {
    name: 'create job',
    known: item.state,
    next: 'unfinished',
    ask: () =>
      at.session.data('POST', account, '/fine_tuning/jobs', {
        model: BASE_MODEL,
        training_file: file.id,
        suffix: item.name,
        seed: 1,
        hyperparameters: { n_epochs: 1 + at.random.below(3), batch_size: 4 },
      }),
    done: done => (item.id = bodyOf(done).id),
  })
  if (outcome.kind === 'refused') file.isTraining = false
  return outcome
}

/** A request to a job that runs by itself, so it may have ended before. */
function stop(name: 'cancel' | 'pause', next: 'cancelled' | 'paused', weight: number): Operation {
  return {
    name: `${name} job`,
    weight,
    attempt: at => {
      const account = at.random.pick(at.model.main)
      const job = pickOf(at.random, account.jobs, one => one.state.isFree && one.state.now === 'unfinished')
      if (job === undefined) return undefined
      const ask = async (): Promise<Outcome> => {
        const outcome = await at.session.data('POST', account, `/fine_tuning/jobs/${job.id}/${name}`)
        // It ended while it was told to stop, so its state is still open.
        const isOther = outcome.kind === 'done' && bodyOf(outcome).status !== next
        return isOther ? { kind: 'unknown', status: outcome.status, message: `not ${next}` } : outcome
      }
      return attempt(at, { name: `${name} job`, known: job.state, next, orphans: 2, ask })
    },
  }
}

async function deploy(at: At, account: MainAccount): Promise<unknown> {
  const job = pickOf(at.random, account.jobs, one => one.model.isFree && one.model.now === 'here')
  const model = at.random.chance(0.3) ? BASE_MODEL : (job?.result?.model ?? BASE_MODEL)
  const item: DeploymentItem = { name: at.model.name('deployment'), model, state: new Known<'here' | 'gone'>('gone') }
  account.deployments.push(item)
  const properties = { model: { format: 'OpenAI', name: model, version: '1' } }
  const body = { sku: { name: 'Standard', capacity: 1 }, properties }
  return attempt(at, {
    name: 'deploy',
    known: item.state,
    next: 'here',
    orphans: 1,
    ask: () => at.session.arm('PUT', `${pathOf(account.name)}/deployments/${item.name}`, body),
  })
}

const isServing = ({ state }: DeploymentItem): boolean => state.isFree && state.now === 'here'

export const engineOperations: readonly Operation[] = [
  {
    name: 'create job',
    weight: 4,
    attempt: at => {
      const account = at.random.pick(at.model.main)
      const open = account.jobs.filter(
        ({ state }) => !['succeeded', 'cancelled', 'absent'].includes(state.now ?? 'open'),
      )
      return open.length < MOST_JOBS ? createJob(at, account) : undefined
    },
  },
  stop('cancel', 'cancelled', 1),
  stop('pause', 'paused', 1),
  {
    name: 'resume job',
    weight: 3,
    attempt: at => {
      const account = at.random.pick(at.model.main)
      const job = pickOf(at.random, account.jobs, one => one.state.isFree && one.state.now === 'paused')
      if (job === undefined) return undefined
      const ask = (): Promise<Outcome> => at.session.data('POST', account, `/fine_tuning/jobs/${job.id}/resume`)
      return attempt(at, { name: 'resume job', known: job.state, next: 'unfinished', ask })
    },
  },
  {
    name: 'delete model',
    weight: 1,
    attempt: at => {
      const account = at.random.pick(at.model.main)
      const used = new Set(account.deployments.filter(one => one.state.now !== 'gone').map(({ model }) => model))
      const isUnused = (one: JobItem): boolean =>
        one.model.isFree && one.model.now === 'here' && !used.has(one.result?.model ?? '')
      const job = pickOf(at.random, account.jobs, isUnused)
      if (job === undefined) return undefined
      const ask = (): Promise<Outcome> => at.session.data('DELETE', account, `/models/${job.result?.model}`)
      return attempt(at, { name: 'delete model', known: job.model, next: 'gone', orphans: 4, ask })
    },
  },
  {
    name: 'deploy',
    weight: 2,
    attempt: at => {
      const account = at.random.pick(at.model.main)
      const count = account.deployments.filter(({ state }) => state.now !== 'gone').length
      return count < MOST_DEPLOYMENTS ? deploy(at, account) : undefined
    },
  },
  {
    name: 'undeploy',
    weight: 1,
    attempt: at => {
      const account = at.random.pick(at.model.main)
      const deployment = pickOf(at.random, account.deployments, isServing)
      if (deployment === undefined) return undefined
      const path = `${pathOf(account.name)}/deployments/${deployment.name}`
      const ask = (): Promise<Outcome> => at.session.arm('DELETE', path)
      return attempt(at, { name: 'undeploy', known: deployment.state, next: 'gone', orphans: 1, ask })
    },
  },
  {
    name: 'chat',
    weight: 4,
    attempt: at => {
      const account = at.random.pick(at.model.main)
      const deployment = pickOf(at.random, account.deployments, isServing)
      if (deployment === undefined) return undefined
      return chat(at.session, account, deployment.name).then(outcome => {
        at.model.count('chat', outcome.kind)
        // Its process ends with the deployment, which another lane deletes.
        const isGoing = outcome.kind === 'unknown' && outcome.status === 503 && deployment.state.now !== 'here'
        if (isGoing) at.session.forgive(outcome.message)
      })
    },
  },
]
