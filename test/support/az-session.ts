import { execFile } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import type { TestCloud } from './cloud.ts'

const run = promisify(execFile)
const cli = fileURLToPath(new URL('../../src/cli.ts', import.meta.url))

/** OWNKEY_AZ=/path/to/az names another az than the one on PATH. Debian's 2.45 lacks a module that every key command needs. */
export const AZ = process.env['OWNKEY_AZ'] ?? 'az'
const version = await run(AZ, ['version', '--output', 'json']).then(
  ({ stdout }) => (JSON.parse(stdout) as { 'azure-cli': string })['azure-cli'],
  () => undefined,
)

/** For `{ skip }`: why az can't run here. */
export const noAz =
  version !== undefined && Number(version.split('.')[1]) >= 60
    ? false
    : `needs the az CLI, 2.60 or newer (${version === undefined ? 'none was found' : `found ${version}`}): python3 -m venv v && v/bin/pip install azure-cli, then OWNKEY_AZ=v/bin/az`

/** The real az in a shell of its own, logged in only by the output of `ownkey env --format az`. */
export class AzSession {
  /** For files that commands read and write. */
  readonly dir: string
  /** The shell's environment, in which programs find this az. */
  readonly env: NodeJS.ProcessEnv

  constructor(dir: string, env: NodeJS.ProcessEnv) {
    this.dir = dir
    this.env = { ...env, PATH: AZ.includes('/') ? `${dirname(AZ)}:${env['PATH'] ?? ''}` : env['PATH'] }
  }

  /** `ends` gets what to do after the tests. */
  static async in(cloud: TestCloud, ends: (() => Promise<void>)[]): Promise<AzSession> {
    const dir = await mkdtemp(join(tmpdir(), 'ownkey-az-'))
    ends.push(() => rm(dir, { recursive: true, force: true }))
    const quiet = {
      AZURE_CONFIG_DIR: join(dir, 'config'),
      AZURE_CORE_COLLECT_TELEMETRY: 'false',
      AZURE_CORE_NO_COLOR: 'true',
    }
    const { stdout: lines } = await run(process.execPath, [cli, 'env', '--data-dir', cloud.dataDir, '--format', 'az'])
    const login = `set -e\n${lines.replaceAll(/^az |(?<=\| )az /gm, `'${AZ}' `)}\nenv -0`
    const { stdout } = await run('sh', ['-c', login], { env: { ...process.env, ...quiet } })
    const found = stdout
      .split('\0')
      .flatMap(line => (line.includes('=') ? [line.split(/=(.*)/s, 2) as [string, string]] : []))
    return new AzSession(dir, Object.fromEntries(found))
  }

  /**
   * One command as a person types it after `az`; words are split at blanks, `more` are words that have some. Resolves to the
   * answer as JSON, undefined when there is none.
   */
  // oxlint-disable-next-line typescript/no-explicit-any -- tests read responses of every shape
  async run(command: string, ...more: string[]): Promise<any> {
    const args = [...command.trim().split(/\s+/), ...more]
    try {
      const { stdout } = await run(AZ, [...args, '--output', 'json', '--only-show-errors'], {
        env: this.env,
        maxBuffer: 1 << 26,
      })
      return stdout.trim() === '' ? undefined : JSON.parse(stdout)
    } catch (error) {
      const { stderr = '' } = error as { stderr?: string }
      throw new Error(`az ${command}: ${stderr.slice(-1500)}`, { cause: error })
    }
  }
}
