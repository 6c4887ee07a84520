import { command, dataDir } from '../command.ts'
import { flag, oneOf, text, wholeNumber } from '../option.ts'
import { knownHead } from './known-head.ts'

export const audit = command({
  name: 'audit',
  summary: 'print the audit log, also of a stopped cloud',
  notes: ['Without --since or --last a table has the newest 100 records.'],
  examples: ['audit --data-dir ./cloud --since 24h', 'audit --data-dir ./cloud --follow --format json'],
  options: {
    'data-dir': dataDir,
    vault: text('NAME', 'records of this vault alone'),
    since: text('TIME', 'for example 24h, 7d or 2026-01-31T08:00:00Z'),
    last: wholeNumber('N', 'only the newest N records', { most: 999_999 }),
    follow: flag('go on with what comes, until Ctrl-C'),
    format: oneOf(['table', 'json'], 'for people, or JSON lines'),
  },
  async run({ 'data-dir': folder, ...options }) {
    return (await import('../../commands/audit.ts')).printAudit({ dataDir: folder, ...options })
  },
})

export const auditVerify = command({
  name: 'audit verify',
  summary: 'check that all records are as they were written',
  notes: ['Of the log and all others. Exit code 1: one was changed,', 'removed or forged.'],
  examples: ['audit verify --data-dir ./cloud'],
  options: {
    'data-dir': dataDir,
    known: text('N:HASH', 'an earlier head of the log, as printed here'),
    'known-head': knownHead,
  },
  async run({ 'data-dir': folder, known, 'known-head': head }) {
    return (await import('../../commands/audit.ts')).verifyAudit({ dataDir: folder, known, knownHead: head })
  },
})

export const auditHead = command({
  name: 'audit head',
  summary: 'print the line that names the state of the folder',
  notes: [
    'Keep it elsewhere: with --known-head, start, audit verify and',
    'prove refuse an older state of the folder.',
  ],
  examples: ['audit head --data-dir ./cloud'],
  options: { 'data-dir': dataDir },
  async run({ 'data-dir': folder }) {
    return (await import('../../commands/audit.ts')).printHead({ dataDir: folder })
  },
})
