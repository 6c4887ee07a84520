import { spawnSync } from 'node:child_process'
import { parseArgs } from 'node:util'

const USAGE = `Usage: ./ownkey <command> [options]

  demo     play the main story: seal, train, deploy, rotate, revoke, delete   [--keep]
  start    run the cloud until stopped     --data-dir DIR [--port 8443] [--key-lease-seconds 10] [--key-watch-seconds 60] [--location westeurope] [--clock-control] [--allow-ropc] [--diagnostics-dir DIR/diagnostics] [--verbose]
           keys in vaults elsewhere, with the credential of your environment:   --outside-vaults '*.vault.azure.net'
           an older state of the folder is refused:   --known-head HEAD, or kept up to date outside by   --freshness file:PATH | command:PROGRAM
           after records were changed outside, without a backup: take them as they are   --accept-changed-records
           with all that a file says in it, see examples/seed.yaml:   --seed FILE
           RSA-HSM keys in a PKCS #11 token:   --pkcs11-module PATH --pkcs11-pin-file FILE [--pkcs11-token LABEL]
  audit    print the audit log      --data-dir DIR [--vault V] [--since 24h|T] [--last N] [--follow] [--format table|json]
           audit verify: is it, and every other record, as it was written?   --data-dir DIR [--known N:HASH] [--known-head HEAD]
           audit head: the line to keep elsewhere as HEAD, which later shows an older folder put back   --data-dir DIR
  prove    open every sealed blob under its account's key, and verify the audit log   --data-dir DIR [--account NAME] [--whole] [--known-head HEAD] [--format table|json]
           when was its key destroyed, and by whom?   --deleted FILE|MODEL|DEPLOYMENT|ACCOUNT --data-dir DIR [--account NAME]
  re-encrypt  seal all data of an account anew under a new data key     --data-dir DIR --account NAME [--mib-per-second N] [--no-wait]
  clock    show | advance 91d | set T | reset the clock   --data-dir DIR, of a cloud started with --clock-control
  env      print the environment for clients          --data-dir DIR [--format shell|az|json]
  trust    put the cloud's CA into the system's store and your browsers', or take it out   --data-dir DIR [--remove] [--system-root DIR]
           without --data-dir: list all of them, or take them all out
  doctor   say what this machine lacks                [--port 8443] [--data-dir DIR: who trusts its CA]
  test     run every test
  help     this text
`

const OPTIONS = {
  'data-dir': { type: 'string' },
  port: { type: 'string', default: '8443' },
  'key-lease-seconds': { type: 'string', default: '10' },
  'key-watch-seconds': { type: 'string', default: '60' },
  location: { type: 'string', default: 'westeurope' },
  seed: { type: 'string' },
  'outside-vaults': { type: 'string' },
  'diagnostics-dir': { type: 'string' },
  'pkcs11-module': { type: 'string' },
  'pkcs11-pin-file': { type: 'string' },
  'pkcs11-token': { type: 'string' },
  'clock-control': { type: 'boolean', default: false },
  'allow-ropc': { type: 'boolean', default: false },
  format: { type: 'string' },
  vault: { type: 'string' },
  account: { type: 'string' },
  'mib-per-second': { type: 'string' },
  'no-wait': { type: 'boolean', default: false },
  whole: { type: 'boolean', default: false },
  deleted: { type: 'string' },
  since: { type: 'string' },
  last: { type: 'string' },
  known: { type: 'string' },
  'known-head': { type: 'string' },
  freshness: { type: 'string' },
  'accept-changed-records': { type: 'boolean', default: false },
  follow: { type: 'boolean', default: false },
  keep: { type: 'boolean', default: false },
  remove: { type: 'boolean', default: false },
  'system-root': { type: 'string' },
  verbose: { type: 'boolean', default: false },
  help: { type: 'boolean', short: 'h', default: false },
} as const

type Values = ReturnType<typeof read>['values']

function read(args: string[]) {
  return parseArgs({ args, options: OPTIONS, allowPositionals: true })
}

/** Commands with words of their own behind their name, and how many. */
const WORDS: Readonly<Record<string, number>> = { audit: 1, clock: 2 }

const commands: Record<string, (values: Values, words: readonly string[]) => Promise<number>> = {
  demo: async values => (await import('./demo/run-demo.ts')).runDemo({ keep: values.keep }),
  start: async values =>
    (await import('./commands/start.ts')).start({
      dataDir: dataDir(values),
      port: wholeNumber(values.port, 'port', 65_535),
      keyLeaseSeconds: wholeNumber(values['key-lease-seconds'], 'key-lease-seconds', 3600),
      keyWatchSeconds: wholeNumber(values['key-watch-seconds'], 'key-watch-seconds', 86_400),
      location: values.location,
      seed: values.seed,
      outsideVaults: (values['outside-vaults'] ?? '').split(',').filter(host => host.trim() !== ''),
      clockControl: values['clock-control'],
      allowPasswordGrant: values['allow-ropc'],
      knownHead: values['known-head'],
      freshness: values.freshness,
      acceptChangedRecords: values['accept-changed-records'],
      diagnosticsFolder: values['diagnostics-dir'],
      pkcs11: pkcs11(values),
      verbose: values.verbose,
    }),
  audit: async (values, [word]) => {
    const { printAudit, printHead, verifyAudit } = await import('./commands/audit.ts')
    if (word === 'verify')
      return verifyAudit({ dataDir: dataDir(values), known: values.known, knownHead: values['known-head'] })
    if (word === 'head') return printHead({ dataDir: dataDir(values) })
    if (word !== undefined) throw new UsageError(`There is no 'audit ${word}': use audit, audit verify, or audit head.`)
    const { vault, since, follow, format = 'table' } = values
    const last = values.last === undefined ? undefined : wholeNumber(values.last, 'last', 999_999)
    return printAudit({ dataDir: dataDir(values), vault, since, follow, format, last })
  },
  prove: async values => {
    const { account, whole, deleted, format = 'table' } = values
    return (await import('./commands/prove.ts')).prove({
      dataDir: dataDir(values),
      account,
      deleted,
      knownHead: values['known-head'],
      whole,
      format,
    })
  },
  're-encrypt': async values => {
    const { account, 'mib-per-second': rate, 'no-wait': noWait } = values
    if (account === undefined || account === '') throw new UsageError('--account NAME is missing.')
    const mebibytesPerSecond = rate === undefined ? undefined : wholeNumber(rate, 'mib-per-second', 100_000)
    const { reEncrypt } = await import('./commands/re-encrypt.ts')
    return reEncrypt({ dataDir: dataDir(values), account, mebibytesPerSecond, wait: !noWait })
  },
  clock: async (values, [action = 'show', argument]) => {
    const { clock } = await import('./commands/clock.ts')
    return clock({ dataDir: dataDir(values), action, argument, format: values.format ?? 'text' })
  },
  env: async values =>
    (await import('./commands/print-environment.ts')).printEnvironment({
      dataDir: dataDir(values),
      format: values.format ?? 'shell',
      systemRoot: values['system-root'],
    }),
  trust: async values =>
    (await import('./commands/trust.ts')).trust({
      dataDir: values['data-dir'],
      remove: values.remove,
      systemRoot: values['system-root'],
    }),
  doctor: async values =>
    (await import('./commands/doctor.ts')).doctor({
      port: wholeNumber(values.port, 'port', 65_535),
      dataDir: values['data-dir'],
      systemRoot: values['system-root'],
    }),
  help: async () => {
    process.stdout.write(USAGE)
    return 0
  },
}

function dataDir(values: Values): string {
  if (values['data-dir'] !== undefined && values['data-dir'] !== '') return values['data-dir']
  throw new UsageError('--data-dir DIR is missing.')
}

function pkcs11(values: Values) {
  const { 'pkcs11-module': modulePath, 'pkcs11-pin-file': pinFile, 'pkcs11-token': label } = values
  if (modulePath !== undefined && pinFile !== undefined) return { modulePath, pinFile, label }
  if (modulePath === undefined && pinFile === undefined && label === undefined) return undefined
  throw new UsageError('A PKCS #11 token needs both --pkcs11-module PATH and --pkcs11-pin-file FILE.')
}

function wholeNumber(text: string, name: string, most: number): number {
  if (/^\d{1,6}$/.test(text) && Number(text) <= most) return Number(text)
  throw new UsageError(`--${name} ${text} must be a whole number from 0 to ${most}.`)
}

class UsageError extends Error {}

async function run([name = 'help', ...args]: string[]): Promise<number> {
  if (name === 'test') return runTests(args)
  const command = commands[name === '--help' || name === '-h' ? 'help' : name]
  if (command === undefined) throw new UsageError(`There is no command '${name}'.`)
  const { values, positionals } = read(args)
  const spare = positionals[WORDS[name] ?? 0]
  if (spare !== undefined) throw new UsageError(`'${name}' does not know what '${spare}' is.`)
  return values.help ? run(['help']) : command(values, positionals)
}

function runTests(args: string[]): number {
  const script = new URL('../scripts/test.ts', import.meta.url).pathname
  return spawnSync(process.execPath, [script, ...args], { stdio: 'inherit' }).status ?? 1
}

// `ownkey audit | head` has seen enough.
process.stdout.on('error', (error: NodeJS.ErrnoException) => process.exit(error.code === 'EPIPE' ? 0 : 1))

/** What was written to a pipe may still wait for its reader: an exit would cut it off. */
function written(stream: NodeJS.WriteStream): Promise<void> {
  return new Promise(resolve => stream.write('', () => resolve()))
}

try {
  const code = await run(process.argv.slice(2))
  await written(process.stdout)
  process.exit(code)
} catch (error) {
  const isUsage =
    error instanceof UsageError || (error as { code?: string }).code?.startsWith('ERR_PARSE_ARGS') === true
  const message = error instanceof Error ? error.message : String(error)
  process.stderr.write(`ownkey: ${message}\n${isUsage ? `\n${USAGE}` : ''}`)
  process.exit(isUsage ? 2 : 1)
}
