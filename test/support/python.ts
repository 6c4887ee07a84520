import { execFile, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import type { TestCloud } from './cloud.ts'

const run = promisify(execFile)
const root = fileURLToPath(new URL('../..', import.meta.url))
const packages = 'openai azure-identity azure-keyvault-keys azure-mgmt-cognitiveservices cryptography'
const found = spawnSync('python3', [
  '-c',
  'import openai, azure.identity, azure.keyvault.keys, azure.mgmt.cognitiveservices, cryptography',
])

/** For `{ skip }`: why the Python SDKs are missing. */
export const noPython = found.status === 0 ? false : `the Python packages are missing: pip install ${packages}`

/** The output of `ownkey env`, with PYTHONPATH so that Python finds *.localhost. */
async function environment(cloud: TestCloud): Promise<NodeJS.ProcessEnv> {
  const args = ['src/cli.ts', 'env', '--data-dir', cloud.dataDir, '--format', 'json']
  const { stdout } = await run(process.execPath, args, { cwd: root })
  return {
    ...process.env,
    ...(JSON.parse(stdout) as Record<string, string>),
    PYTHONPATH: `${root}src/http/python`,
    PYTHONWARNINGS: 'ignore',
  }
}

/**
 * Runs a Python program with the environment that a cloud gives its clients. `onLine` sees each line of its output as it
 * comes, and what it returns goes to the program's input. Resolves to the whole output; rejects when the program fails.
 */
export async function python(
  cloud: TestCloud,
  script: readonly string[],
  { onLine, input, env = {} }: PythonOptions = {},
): Promise<string> {
  const child = spawn('python3', ['-u', ...script], { cwd: root, env: { ...(await environment(cloud)), ...env } })
  let output = ''
  let errors = ''
  let seen = 0
  child.stderr.on('data', (chunk: Buffer) => void (errors += chunk.toString()))
  child.stdout.on('data', (chunk: Buffer) => {
    output += chunk.toString()
    const lines = output.split('\n')
    for (; seen < lines.length - 1; seen += 1)
      void Promise.resolve(onLine?.(lines[seen] ?? '')).then(
        answer => (typeof answer === 'string' ? child.stdin.write(answer) : undefined),
        (error: unknown) => child.kill() && (errors += String(error)),
      )
  })
  if (input !== undefined) child.stdin.end(input)
  const [code] = (await once(child, 'close')) as [number | null]
  if (code !== 0) throw new Error(`${script.join(' ')}: ${errors.slice(-3000)}\n${output}`)
  return output
}

interface PythonOptions {
  readonly onLine?: (line: string) => unknown
  /** All of its input, at once. */
  readonly input?: string
  readonly env?: NodeJS.ProcessEnv
}
