import { refusal, type Refusal } from '../support/azure.ts'
import type { Keyed } from '../support/causes.ts'

/** The account for one row of the table, with one of each kind of thing. */
export interface Stage {
  readonly keyed: Keyed
  readonly newerVersion: string
  readonly file: string
  readonly results: string
  readonly model: string
  readonly finishedJob: string
  /** Runs when the key is lost. */
  readonly runningJob: string
  readonly spare: Spare
}

/** Things to delete, new ones for each cause and part. */
export interface Spare {
  readonly file: string
  readonly model: string
  readonly deployment: string
}

export interface Operation {
  readonly name: string
  /** Cleans up when it is allowed. */
  readonly attempt: (stage: Stage) => Promise<unknown>
}

const chat: Operation = { name: 'chat on a running deployment', attempt: ({ keyed }) => keyed.account.chat('served') }
const stopping: Operation = {
  name: 'chat on a deployment that stops with its key',
  attempt: ({ keyed }) => keyed.account.chat('stopping'),
}
const download: Operation = {
  name: 'download training data',
  attempt: ({ keyed, file }) => keyed.account.download(file),
}
const resume: Operation = {
  name: 'resume the paused job',
  attempt: ({ keyed, runningJob }) => keyed.account.openai.fineTuning.jobs.resume(runningJob),
}

/** Operations that need a data key: refused without the customer's key, allowed again once it is back. */
const NEEDS_KEY: readonly Operation[] = [
  download,
  stopping,
  { name: 'download results', attempt: ({ keyed, results }) => keyed.account.download(results) },
  {
    name: 'upload',
    attempt: async ({ keyed: { account } }) => account.openai.files.delete(await account.upload('sent while revoked')),
  },
  {
    name: 'create a job',
    attempt: async ({ keyed: { account }, file }) => account.openai.fineTuning.jobs.cancel(await account.train(file)),
  },
  {
    name: 'deploy a fine-tuned model',
    attempt: async ({ keyed: { account }, model }) => {
      const reply = await account.deploy('another', model)
      if (reply.status < 300) await account.undeploy('another')
      return reply
    },
  },
]

const METADATA: readonly Operation[] = [
  { name: 'list files', attempt: ({ keyed }) => keyed.account.openai.files.list() },
  { name: 'list models', attempt: ({ keyed }) => keyed.account.openai.models.list() },
  {
    name: 'read a job',
    attempt: ({ keyed, finishedJob }) => keyed.account.openai.fineTuning.jobs.retrieve(finishedJob),
  },
  {
    name: "read a job's events",
    attempt: ({ keyed, finishedJob }) => keyed.account.openai.fineTuning.jobs.listEvents(finishedJob),
  },
]

const CHANGES: readonly Operation[] = [
  {
    name: 'change to a newer version',
    attempt: async ({ keyed: { account, uri, key, version }, newerVersion }) => {
      const reply = await account.encrypt({ uri, name: key, version: newerVersion })
      return reply.status < 300 ? account.encrypt({ uri, name: key, version }) : reply
    },
  },
  {
    name: 'disable customer-managed keys',
    attempt: async ({ keyed: { account, uri, key, version } }) => {
      const reply = await account.encrypt()
      return reply.status < 300 ? account.encrypt({ uri, name: key, version }) : reply
    },
  },
]

const DELETIONS: readonly Operation[] = [
  { name: 'delete a file', attempt: ({ keyed, spare }) => keyed.account.openai.files.delete(spare.file) },
  { name: 'delete a deployment', attempt: ({ keyed, spare }) => keyed.account.undeploy(spare.deployment) },
  { name: 'delete a model', attempt: ({ keyed, spare }) => keyed.account.openai.models.delete(spare.model) },
]

/** In the order in which they are tried: while the key is gone, after a restart, and when it is back. */
export const OPERATIONS: readonly Operation[] = [...NEEDS_KEY, resume, ...CHANGES, chat, ...METADATA, ...DELETIONS]

/** `allowed`, or the status with the code and the cause that the error names. */
export async function answerTo(operation: Operation, stage: Stage): Promise<string> {
  return describe(await refusal(() => operation.attempt(stage)))
}

export function describe(refused: Refusal | undefined): string {
  if (refused === undefined) return 'allowed'
  const cause = /can't be used \((\w+)\)/.exec(refused.message)?.[1]
  return [refused.status, refused.code, ...(cause === undefined ? [] : [cause])].join(' ')
}
