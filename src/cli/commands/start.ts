import { UsageError } from '../../base/usage-error.ts'
import { command, dataDir } from '../command.ts'
import { flag, rarely, text, wholeNumberOr, withDefault } from '../option.ts'
import { engineOptions, engineSettings } from './engine-options.ts'
import { freshnessStore } from './folder.ts'
import { knownHead } from './known-head.ts'

export const start = command({
  name: 'start',
  summary: 'run a cloud until Ctrl-C',
  examples: ['start --data-dir ./cloud --port 8443'],
  options: {
    'data-dir': { ...dataDir, about: 'keeps all of it; made if it is not there' },
    port: wholeNumberOr(8443, 'N', 'on loopback; 0: any free one', { most: 65_535 }),
    seed: text('FILE', 'make what it says first: examples/seed.yaml', { completes: 'file' }),
    location: withDefault('NAME', 'region of what is made', 'westeurope'),
    'key-lease-seconds': wholeNumberOr(10, 'N', 'a revocation is felt within this time', { most: 3600 }),
    'key-watch-seconds': wholeNumberOr(60, 'N', 'ask about idle keys this often', { most: 86_400 }),
    'jobs-at-once': rarely(wholeNumberOr(1, 'N', 'train this many jobs side by side', { least: 1, most: 64 })),
    'engine-timeout-seconds': rarely(
      wholeNumberOr(30, 'N', 'end a trainer or model silent for so long', { least: 3, most: 3600 }),
    ),
    ...engineOptions,
    'outside-vaults': rarely(text('HOSTS', "vaults elsewhere, e.g. '*.vault.azure.net'")),
    'federated-issuers': rarely(text('HOSTS', 'issuers in your own network')),
    'pkcs11-module': rarely(text('PATH', 'keep RSA-HSM keys in this PKCS #11 token', { completes: 'file' })),
    'pkcs11-pin-file': rarely(text('FILE', 'with its PIN', { completes: 'file' })),
    'pkcs11-token': rarely(text('LABEL', 'if it has several tokens')),
    'diagnostics-dir': rarely(text('DIR', 'for diagnostic settings [DIR/diagnostics]', { completes: 'folder' })),
    'new-ca': rarely(flag('a new CA, which clients have to trust anew')),
    'known-head': rarely(knownHead),
    freshness: rarely(freshnessStore),
    'accept-changed-records': rarely(flag('go on with records that were changed or lost')),
    fips: flag('on an OpenSSL FIPS provider, or not at all'),
    'clock-control': flag('let ./ownkey clock move its clock'),
    'allow-ropc': rarely(flag('let clients send names and passwords')),
    verbose: flag('log every request, as JSON lines on stderr'),
  },
  async run(values) {
    const pkcs11 = tokenOf(values)
    // Before the service is loaded: a restart afterwards would load it twice.
    const { restartHardened } = await import('../../commands/restart-process.ts')
    restartHardened(values)
    return (await import('../../commands/start.ts')).start({
      dataDir: values['data-dir'],
      port: values.port,
      keyLeaseSeconds: values['key-lease-seconds'],
      keyWatchSeconds: values['key-watch-seconds'],
      jobsAtOnce: values['jobs-at-once'],
      engineTimeoutSeconds: values['engine-timeout-seconds'],
      engines: engineSettings(values),
      location: regionOf(values.location),
      seed: values.seed,
      outsideVaults: hosts(values['outside-vaults']),
      federatedIssuers: hosts(values['federated-issuers']),
      knownHead: values['known-head'],
      freshness: values.freshness,
      acceptChangedRecords: values['accept-changed-records'],
      newCa: values['new-ca'],
      clockControl: values['clock-control'],
      allowPasswordGrant: values['allow-ropc'],
      diagnosticsFolder: values['diagnostics-dir'],
      pkcs11,
      verbose: values.verbose,
    })
  },
})

function hosts(list = ''): string[] {
  return list.split(',').filter(host => host.trim() !== '')
}

/** `West Europe` and `westeurope` are one, as in Azure. */
function regionOf(given: string): string {
  const name = given.toLowerCase().replaceAll(' ', '')
  if (/^[a-z][a-z0-9]{2,39}$/.test(name)) return name
  throw new UsageError(`--location ${given} is not the name of a region: use for example westeurope.`)
}

function tokenOf(values: {
  readonly 'pkcs11-module': string | undefined
  readonly 'pkcs11-pin-file': string | undefined
  readonly 'pkcs11-token': string | undefined
}) {
  const { 'pkcs11-module': modulePath, 'pkcs11-pin-file': pinFile, 'pkcs11-token': label } = values
  if (modulePath !== undefined && pinFile !== undefined) return { modulePath, pinFile, label }
  if (modulePath === undefined && pinFile === undefined && label === undefined) return undefined
  throw new UsageError('A PKCS #11 token needs both --pkcs11-module PATH and --pkcs11-pin-file FILE.')
}
