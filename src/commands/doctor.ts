import { getFips } from 'node:crypto'
import { createServer } from 'node:net'
import { describeFips, readFipsState } from '../crypto/fips-module.ts'
import { readEndpoints } from '../base/endpoints.ts'
import { fitted } from '../base/terminal.ts'
import { reportConfinement } from '../engines/confinement.ts'
import { namesFinding } from './doctor-names.ts'
import { trustFindings } from './doctor-trust.ts'
import { finding, type Finding } from './finding.ts'

const MARKS = { ok: 'ok      ', lacking: 'lacking ', note: 'note    ' }

const INDENT = ' '.repeat(9)

/** Says what this machine lacks and, for a cloud's folder, who trusts its CA. Resolves to the exit code. */
export async function doctor(options: {
  port: number
  dataDir: string | undefined
  systemRoot: string | undefined
}): Promise<number> {
  const { dataDir } = options
  const findings: Finding[] = [node(), await namesFinding(dataDir), await portFinding(options.port, dataDir), fips()]
  findings.push(await engines())
  if (dataDir !== undefined) findings.push(...(await trustFindings(dataDir, options.systemRoot)))
  for (const { state, what, remedy = [] } of findings) {
    process.stdout.write(`${fitted(`${MARKS[state]} ${what}`, INDENT)}\n`)
    for (const line of remedy) process.stdout.write(`${fitted(`${INDENT}${line}`)}\n`)
  }
  return findings.some(({ state }) => state === 'lacking') ? 1 : 0
}

function node(): Finding {
  const [major] = process.versions.node.split('.')
  const what = `Node ${process.versions.node}, OpenSSL ${process.versions.openssl}`
  return finding(Number(major) >= 24, what, 'OwnKey runs on Node >= 24.')
}

async function portFinding(port: number, dataDir: string | undefined): Promise<Finding> {
  const running = dataDir === undefined ? undefined : await readEndpoints(dataDir).catch(() => undefined)
  if (running !== undefined && (await answers(running.caCertificateUrl)))
    return finding(true, `a cloud runs in ${dataDir}, on port ${running.port}`)
  return portIsFree(port)
}

/** The file of a killed cloud may still be there. */
function answers(url: string): Promise<boolean> {
  return fetch(url, { signal: AbortSignal.timeout(2000) }).then(
    ({ ok }) => ok,
    () => false,
  )
}

function portIsFree(port: number): Promise<Finding> {
  return new Promise(resolve => {
    const server = createServer()
    server.once('error', ({ code }: NodeJS.ErrnoException) =>
      resolve(
        code === 'EACCES'
          ? finding(false, `port ${port} may be used by root alone`, 'Start with --port 0, or one from 1024 on.')
          : finding(false, `port ${port} is in use`, 'Start with --port 0, or another port.'),
      ),
    )
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(finding(true, `port ${port} is free`))))
  })
}

/** `lacking` only where something can be done about it. */
async function engines(): Promise<Finding> {
  const { summary, lacks, remedy } = await reportConfinement()
  const state = lacks.length === 0 ? 'ok' : remedy.length === 0 ? 'note' : 'lacking'
  return { state, what: summary, remedy: [...lacks, ...remedy] }
}

function fips(): Finding {
  const state = readFipsState()
  const { status } = state
  const words = {
    active: `FIPS provider active: ${describeFips(state)}`,
    off: 'FIPS provider off (approved algorithms only, all the same)',
    broken: 'FIPS mode is set, but its provider does not work',
  }
  const remedy = `getFips() is ${getFips()}: build and configure an OpenSSL FIPS provider, or start without --enable-fips.`
  return finding(status !== 'broken', words[status], remedy)
}
