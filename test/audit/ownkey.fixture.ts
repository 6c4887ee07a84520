import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'

const cli = fileURLToPath(new URL('../../src/cli.ts', import.meta.url))

export interface CommandResult {
  readonly code: number
  readonly output: string
  readonly errors: string
}

/** Runs `./ownkey` with these arguments to its end. */
export async function ownkey(...args: readonly string[]): Promise<CommandResult> {
  const child = spawn(process.execPath, [cli, ...args], { stdio: ['ignore', 'pipe', 'pipe'] })
  let output = ''
  let errors = ''
  child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()))
  child.stderr.on('data', (chunk: Buffer) => (errors += chunk.toString()))
  const code = await new Promise<number>(resolve => child.once('close', status => resolve(status ?? -1)))
  return { code, output, errors }
}

/** One record as `./ownkey audit --format json` prints it. */
export interface PrintedRecord {
  readonly sequence: number
  readonly time: string
  readonly operationName: string
  readonly operationVersion?: string
  readonly category: string
  readonly resourceId: string
  readonly resultType: string
  readonly resultSignature: string
  readonly resultDescription: string
  readonly durationMs: number
  readonly callerIpAddress: string
  readonly correlationId: string
  readonly identity?: { readonly claim: Readonly<Record<string, string>> }
  readonly properties: Readonly<Record<string, unknown>>
  readonly hash: string
}

/** The whole audit log of a data folder. */
export async function auditRecords(dataDir: string, ...args: readonly string[]): Promise<PrintedRecord[]> {
  const { code, output, errors } = await ownkey('audit', '--data-dir', dataDir, '--format', 'json', ...args)
  if (code !== 0) throw new Error(`ownkey audit ended with ${code}: ${errors}`)
  return output
    .split('\n')
    .filter(line => line !== '')
    .map(line => JSON.parse(line) as PrintedRecord)
}
