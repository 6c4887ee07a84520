import { command, dataDir } from '../command.ts'
import { flag, needed, oneOf, text, wholeNumber } from '../option.ts'
import { knownHead } from './known-head.ts'

export const prove = command({
  name: 'prove',
  summary: 'show that all data is sealed, or that a key is gone',
  notes: ['Exit code 1: something is not as promised.'],
  examples: ['prove --data-dir ./cloud', 'prove --deleted file-0123abcd --data-dir ./cloud'],
  options: {
    'data-dir': dataDir,
    account: text('NAME', 'look at this account alone'),
    deleted: text('ID', 'when was the key of this destroyed, and by whom'),
    whole: flag('read each blob to its end'),
    'known-head': knownHead,
    format: oneOf(['table', 'json'], 'for people, or JSON'),
  },
  async run({ 'data-dir': folder, 'known-head': head, ...options }) {
    return (await import('../../commands/prove.ts')).prove({ dataDir: folder, knownHead: head, ...options })
  },
})

export const reEncrypt = command({
  name: 're-encrypt',
  summary: "seal an account's data anew under a new data key",
  examples: ['re-encrypt --account contoso --data-dir ./cloud'],
  options: {
    'data-dir': dataDir,
    account: needed('NAME', 'or its resource id'),
    'mib-per-second': wholeNumber('N', 'go no faster than this', { least: 1, most: 100_000 }),
    'no-wait': flag('do not wait for its end'),
  },
  async run(values) {
    return (await import('../../commands/re-encrypt.ts')).reEncrypt({
      dataDir: values['data-dir'],
      account: values.account,
      mebibytesPerSecond: values['mib-per-second'],
      wait: !values['no-wait'],
    })
  },
})

export const clock = command({
  name: 'clock',
  summary: 'show or move the clock of a cloud',
  synopsis: '[advance LENGTH|set TIME|reset]',
  mostWords: 2,
  words: ['show', 'advance', 'set', 'reset'],
  notes: ['Moves it where the cloud was started with --clock-control.', 'LENGTH: 91d, 36h, 90m, 10s, 2w, 1y.'],
  examples: ['clock advance 91d --data-dir ./cloud', 'clock set 2027-01-31T08:00:00Z --data-dir ./cloud'],
  options: { 'data-dir': dataDir, format: oneOf(['text', 'json'], 'for people, or JSON') },
  async run({ 'data-dir': folder, format }, [action = 'show', argument]) {
    return (await import('../../commands/clock.ts')).clock({ dataDir: folder, action, argument, format })
  },
})
