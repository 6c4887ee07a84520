import { UsageError } from '../../base/usage-error.ts'
import { command, dataDir } from '../command.ts'
import { flag, oneOf, rarely, text, type Option } from '../option.ts'
import { knownHead } from './known-head.ts'

/** Where the newest head is kept outside of the folder; see freshness.ts. */
export const freshnessStore: Option<string | undefined> = {
  placeholder: 'STORE',
  about: 'keep its head in file:PATH or command:PROGRAM',
  read(given) {
    if (given === undefined || /^(file|command):./su.test(given)) return given
    throw new UsageError(`--freshness ${given}: it must be file:PATH or command:PROGRAM.`)
  },
}

export const verify = command({
  name: 'verify',
  summary: 'hold every record, key and blob against each other',
  notes: [
    'Changes nothing, whether the cloud runs or not. Exit code 1: something',
    'is missing, damaged or not as it was written.',
  ],
  examples: ['verify --data-dir ./cloud --whole'],
  options: {
    'data-dir': dataDir,
    whole: flag('read each blob to its end'),
    'known-head': knownHead,
    format: oneOf(['text', 'json'], 'for people, or JSON'),
  },
  async run({ 'data-dir': folder, whole, 'known-head': head, format }) {
    return (await import('../../commands/verify.ts')).verify({ dataDir: folder, whole, knownHead: head, format })
  },
})

export const backup = command({
  name: 'backup',
  summary: 'copy a cloud to another folder, while it runs',
  synopsis: 'DIR TARGET',
  mostWords: 2,
  words: 'file',
  notes: [
    'TARGET is made, or brought up to date with what it lacks. It holds',
    'ciphertext alone: keep root.key elsewhere. Exit code 1: blobs are missing.',
  ],
  examples: ['backup ./cloud /mnt/backup/cloud'],
  options: {
    format: oneOf(['text', 'json'], 'for people, or JSON'),
    'with-root-key': rarely(flag('root.key and the CA too: then it opens by itself')),
  },
  async run({ format, 'with-root-key': withRootKey }, words) {
    const [dataDir, target] = two(words, 'DIR, the folder of the cloud, and TARGET, the folder of the backup')
    return (await import('../../commands/backup.ts')).backup({ dataDir, target, withRootKey, format })
  },
})

export const restore = command({
  name: 'restore',
  summary: 'make the folder of a cloud from a backup',
  synopsis: 'TARGET DIR',
  mostWords: 2,
  words: 'file',
  notes: ['DIR is empty or not there yet. What was deleted or revoked after', 'the backup is back: docs/backup.md.'],
  examples: ['restore /mnt/backup/cloud ./cloud --root-key /mnt/usb/root.key'],
  options: {
    'root-key': text('FILE', 'its root key, where you keep it', { completes: 'file' }),
    'known-head': knownHead,
    freshness: { ...freshnessStore, about: 'the head kept there becomes that of the folder' },
    format: oneOf(['text', 'json'], 'for people, or JSON'),
  },
  async run({ 'root-key': rootKey, 'known-head': head, freshness, format }, words) {
    const [target, dataDir] = two(words, 'TARGET, the folder of the backup, and DIR, a folder to be made')
    return (await import('../../commands/backup.ts')).restore({
      target,
      dataDir,
      rootKey,
      knownHead: head,
      freshness,
      format,
    })
  },
})

function two([first, second]: readonly string[], names: string): [string, string] {
  if (first !== undefined && second !== undefined) return [first, second]
  throw new UsageError(`Name two folders: ${names}.`)
}
