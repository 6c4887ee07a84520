import { startCloud, type CloudOptions } from '../main.ts'

/** Runs the cloud until SIGTERM or SIGINT. Resolves to the exit code. */
export async function start(options: {
  dataDir: string
  port: number
  keyLeaseSeconds: number
  keyWatchSeconds: number
  location: string
  outsideVaults: readonly string[]
  clockControl: boolean
  allowPasswordGrant: boolean
  diagnosticsFolder: string | undefined
  pkcs11: CloudOptions['pkcs11']
  verbose: boolean
}): Promise<number> {
  const log = (line: object): void => {
    const isProblem = 'fault' in line || 'level' in line
    if (options.verbose || isProblem) process.stderr.write(`${JSON.stringify(line)}\n`)
  }
  const cloud = await startCloud({ ...options, log })
  const { endpoints } = cloud
  process.stdout.write(
    [
      `OwnKey is ready on https://*.localhost:${endpoints.port} (loopback only).`,
      `  portal     ${endpoints.portal} as ${endpoints.administrator.userName}, password in endpoints.json`,
      `  endpoints  ${options.dataDir}/endpoints.json`,
      `  CA         ${endpoints.caCertificate}`,
      `  clients    eval "$(./ownkey env --data-dir ${options.dataDir})"`,
      'Stop it with Ctrl-C.',
      '',
    ].join('\n'),
  )
  await new Promise<void>(resolve => {
    for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => resolve())
  })
  await cloud.close()
  return 0
}
