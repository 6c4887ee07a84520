import { createHash } from 'node:crypto'
import { bodyOf, type Outcome, type Session } from './session.ts'
import { attempt, pickOf, type At, type Operation } from './at.ts'
import { Known, type FileItem, type MainAccount } from './model.ts'
import type { Random } from '../support/random.ts'

/** The most files of one account; more are deleted first. */
const MOST_FILES = 10
/** Bytes, about; sealed in chunks of 64 KiB. */
const LARGE = 400_000

export const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex')

/** Chat-format JSONL with examples enough to train on. */
export function trainingData(random: Random, marker: string): Buffer {
  // In one example only, since an example that is longer than the model's context can't be trained on.
  const filler = random.chance(0.2) ? 'x'.repeat(Math.floor(random.next() * LARGE)) : ''
  const line = (n: number): string =>
    JSON.stringify({
      messages: [
        { role: 'user', content: `${marker}: say number ${n}.${n === 0 ? filler : ''}` },
        { role: 'assistant', content: `Number ${n} of ${random.below(1000)}, gladly.` },
      ],
    })
  return Buffer.from(Array.from({ length: 12 }, (_, n) => line(n)).join('\n'))
}

export function uploadForm(name: string, bytes: Buffer): FormData {
  const form = new FormData()
  form.append('purpose', 'fine-tune')
  form.append('file', new Blob([new Uint8Array(bytes)]), name)
  return form
}

export async function uploadTo(at: At, account: MainAccount): Promise<Outcome> {
  const name = at.model.name('file')
  const bytes = trainingData(at.random, name)
  const item: FileItem = { name, sha256: sha256(bytes), state: new Known<'here' | 'gone'>('gone'), isTraining: false }
  account.files.push(item)
  return attempt(at, {
    name: 'upload',
    known: item.state,
    next: 'here',
    orphans: 1,
    ask: () => at.session.data('POST', account, '/files', uploadForm(name, bytes)),
    done: outcome => (item.id = bodyOf(outcome).id),
  })
}

/** The bytes of a file, or why there are none. */
export function download(session: Session, account: MainAccount, id: string): Promise<Outcome> {
  return session.data('GET', account, `/files/${id}/content`)
}

const isHere = ({ state, id }: FileItem): boolean => state.isFree && state.now === 'here' && id !== undefined

export const dataOperations: readonly Operation[] = [
  {
    name: 'upload',
    weight: 8,
    attempt: at => {
      const account = at.random.pick(at.model.main)
      const count = account.files.filter(({ state }) => state.now !== 'gone').length
      return count < MOST_FILES ? uploadTo(at, account) : undefined
    },
  },
  {
    name: 'download',
    weight: 6,
    attempt: at => {
      const account = at.random.pick(at.model.main)
      const file = pickOf(at.random, account.files, isHere)
      return file?.id === undefined ? undefined : compare(at, account, file, file.id)
    },
  },
  {
    name: 'delete file',
    weight: 4,
    attempt: at => {
      const account = at.random.pick(at.model.main)
      const file = pickOf(at.random, account.files, one => isHere(one) && !one.isTraining)
      if (file === undefined) return undefined
      const ask = (): Promise<Outcome> => at.session.data('DELETE', account, `/files/${file.id}`)
      return attempt(at, { name: 'delete file', known: file.state, next: 'gone', orphans: 1, ask })
    },
  },
]

/** The bytes must be those that were sent, also in the middle of a re-encryption or a change of key. */
async function compare({ session, model }: At, account: MainAccount, file: FileItem, id: string): Promise<void> {
  const outcome = await download(session, account, id)
  model.count('download', outcome.kind)
  if (outcome.kind === 'done' && sha256(outcome.bytes) !== file.sha256)
    session.troubles.push(`${account.name}: a download of ${file.name} has other bytes than were sent`)
  // Another lane may have deleted it meanwhile.
  if (outcome.kind === 'refused' && outcome.status === 404 && file.state.possible.every(state => state === 'here'))
    session.troubles.push(`${account.name}: ${file.name} was uploaded, and is not found: ${outcome.message}`)
}
