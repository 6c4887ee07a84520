import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'

const cli = fileURLToPath(new URL('../../src/cli.ts', import.meta.url))
const MOST_BYTES = 64 * 1024 * 1024

interface Ended {
  readonly code: number
  readonly text: string
}

function ownkey(...args: readonly string[]): Promise<Ended> {
  return new Promise(resolve => {
    execFile(process.execPath, [cli, ...args], { maxBuffer: MOST_BYTES }, (error, stdout, stderr) =>
      resolve({ code: error === null ? 0 : Number(error.code ?? -1), text: `${stdout}${stderr}` }),
    )
  })
}

/** `ownkey audit verify`: the chain is whole, and continues the one that was seen before, which must not be lost. */
export async function checkAudit(
  dataDir: string,
  known: string | undefined,
): Promise<{ wrong: string[]; known: string | undefined }> {
  const kept = known === undefined ? [] : ['--known', known]
  const { code, text } = await ownkey('audit', 'verify', '--data-dir', dataDir, ...kept)
  const next = /--known (\d+:[0-9a-f]{64})/.exec(text)?.[1]
  return code === 0 ? { wrong: [], known: next } : { wrong: [`ownkey audit verify ended with ${code}: ${text}`], known }
}

/** `ownkey prove --whole`: every blob opens under its key, and none without. */
export async function prove(dataDir: string): Promise<string[]> {
  const { code, text } = await ownkey('prove', '--data-dir', dataDir, '--whole')
  return code === 0 ? [] : [`ownkey prove ended with ${code}: ${text}`]
}

/** `ownkey verify --whole`: every record fits every blob, and each that has a key opens to its last byte. */
export async function verify(dataDir: string): Promise<string[]> {
  const { code, text } = await ownkey('verify', '--data-dir', dataDir, '--whole')
  return code === 0 ? [] : [`ownkey verify ended with ${code}: ${text}`]
}
