import { resolve } from 'node:path'
import { restoreBackup } from '../folder/restore-backup.ts'
import { writeBackup, type BackupReport } from '../folder/write-backup.ts'
import { startCommand } from '../base/data-folder.ts'
import { progressBar } from '../base/progress.ts'
import { fitted, shellWord } from '../base/terminal.ts'
import { readModelsFile, stateOfEntry } from '../engines/models-file.ts'
import { weightsOf } from './models-folder.ts'
import { version } from '../base/version.ts'

interface Format {
  readonly format: 'text' | 'json'
}

/** Makes a backup or brings it up to date. Resolves to the exit code: 1 where the folder lacked blobs. */
export async function backup(
  options: { readonly dataDir: string; readonly target: string; readonly withRootKey: boolean } & Format,
): Promise<number> {
  const { dataDir, target, format } = options
  const report = await writeBackup({ ...options, program: version(), progress: progressBar() })
  const text =
    format === 'json' ? `${JSON.stringify(report, null, 2)}\n` : written(report, `Backup of ${dataDir} in ${target}`)
  process.stdout.write(text)
  return report.problems.length === 0 ? 0 : 1
}

/** Makes a data folder from a backup. Resolves to the exit code: 1 where the backup lacked blobs. */
export async function restore(
  options: {
    readonly target: string
    readonly dataDir: string
    readonly rootKey: string | undefined
    readonly knownHead: string | undefined
    readonly freshness: string | undefined
  } & Format,
): Promise<number> {
  const { target, dataDir, format } = options
  const report = await restoreBackup({ ...options, progress: progressBar() })
  const { madeAt, records, blobs, bytes, head, problems, withCa, withRootKey } = report
  const missingBases = await basesWithoutFiles(dataDir)
  const lines = [
    `Restored ${target} to ${dataDir}, as it was at ${madeAt}.`,
    `  records   ${count(records)}, all as they were written`,
    `  blobs     ${count(blobs)}, ${count(bytes)} bytes`,
    ...problems.map(problem => `  NOT there ${problem}`),
    ...missingBases.map(
      ({ name, file, sha256 }) => `  base      ${name}: put its weights at ${file} (SHA-256 ${sha256})`,
    ),
    `  root key  ${withRootKey ? `in the folder` : 'not in the folder: OWNKEY_ROOT_KEY, as now'}`,
    `  CA        ${withCa ? 'the former one' : 'none: the first start makes a new one, which clients trust anew'}`,
    'What was deleted, revoked or changed after that time is as it was then: docs/backup.md says what to do. A head that was kept of the former folder refuses this one; its own is',
    `  ${head}`,
    ...(missingBases.length === 0
      ? []
      : ['A backup has no weights of base models, and a start wants them. To go on without one:']),
    ...missingBases.map(({ name }) => `./ownkey models remove ${shellWord(name)} --data-dir ${shellWord(dataDir)}`),
    'Start it:',
    `${startCommand(dataDir)}${withCa ? '' : ' --new-ca'}`,
  ]
  process.stdout.write(format === 'json' ? `${JSON.stringify({ ...report, missingBases }, null, 2)}\n` : whole(lines))
  return problems.length === 0 ? 0 : 1
}

/** Base models of a restored folder whose weights are not where they were. */
async function basesWithoutFiles(dataDir: string): Promise<{ name: string; file: string; sha256: string }[]> {
  const entries = await readModelsFile(dataDir).catch(() => [])
  const states = await Promise.all(entries.map(one => stateOfEntry(dataDir, one, weightsOf(dataDir))))
  return entries
    .filter((_, index) => states[index]?.state !== 'in order')
    .map(({ name, file, sha256 }) => ({ name, file: resolve(dataDir, file), sha256 }))
}

function written(report: BackupReport, title: string): string {
  const { madeAt, records, blobs, bytes, linked, copied, removed, problems, head, withRootKey, running } = report
  const fresh = [
    ...(linked === 0 ? [] : [`${count(linked)} new, as links`]),
    ...(copied === 0 ? [] : [`${count(copied)} new, copied`]),
    ...(removed === 0 ? [] : [`${count(removed)} gone since the last`]),
  ]
  return whole([
    `${title}, of ${madeAt}${running ? '' : ' (no cloud runs)'}.`,
    `  records   ${count(records)}, all as they were written`,
    `  blobs     ${count(blobs)}, ${count(bytes)} bytes${fresh.length === 0 ? '' : `: ${fresh.join(', ')}`}`,
    ...problems.map(problem => `  NOT in it ${problem}`),
    ...(linked === 0 ? [] : ['  on the same disk: it does not outlive that']),
    withRootKey
      ? '  root key  IN IT: whoever has this folder has the data'
      : '  root key  not in it: without it nothing here can be opened',
    `  head      ${head}`,
  ])
}

function count(number: number): string {
  return number.toLocaleString('en')
}

/** Commands and heads stay on a line of their own. */
function whole(lines: readonly string[]): string {
  return `${lines.map(line => (/[0-9a-f]{32}/.test(line) ? line : fitted(line, '  '))).join('\n')}\n`
}
