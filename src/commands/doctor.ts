import { lookup } from 'node:dns/promises'
import { createServer } from 'node:net'
import { getFips } from 'node:crypto'
import { fipsStatus } from '../crypto/fips.ts'

interface Finding {
  readonly ok: boolean
  readonly what: string
  readonly remedy?: string
}

/** Says what this machine lacks. Resolves to the exit code. */
export async function doctor(options: { port: number }): Promise<number> {
  const findings = [node(), await names(), await portIsFree(options.port), fips()]
  for (const { ok, what, remedy } of findings) {
    process.stdout.write(`${ok ? 'ok      ' : 'lacking '} ${what}\n`)
    if (!ok && remedy !== undefined) process.stdout.write(`         ${remedy}\n`)
  }
  return findings.every(({ ok }) => ok) ? 0 : 1
}

function node(): Finding {
  const major = Number(process.versions.node.split('.')[0])
  return {
    ok: major >= 24,
    what: `Node ${process.versions.node}, OpenSSL ${process.versions.openssl}`,
    remedy: 'OwnKey runs on Node >= 24.',
  }
}

async function names(): Promise<Finding> {
  const name = 'contoso.vault.localhost'
  const resolved = await lookup(name).then(
    () => true,
    () => false,
  )
  return {
    ok: resolved,
    what: `${name} ${resolved ? 'resolves' : 'does not resolve'} for programs on this machine`,
    remedy:
      'Browsers, curl and Node clients started with --import ownkey/localhost do without. For others: apt-get install libnss-myhostname, or add the names to /etc/hosts.',
  }
}

function portIsFree(port: number): Promise<Finding> {
  return new Promise(resolve => {
    const server = createServer()
    server.once('error', () =>
      resolve({ ok: false, what: `port ${port} is in use`, remedy: 'Start with --port 0, or another port.' }),
    )
    server.listen(port, '127.0.0.1', () => server.close(() => resolve({ ok: true, what: `port ${port} is free` })))
  })
}

function fips(): Finding {
  const status = fipsStatus()
  const words = {
    active: 'FIPS provider active',
    off: 'FIPS provider off (approved algorithms only, all the same)',
    broken: 'FIPS mode is set, but its provider does not work',
  }
  return {
    ok: status !== 'broken',
    what: words[status],
    remedy: `getFips() is ${getFips()}: build and configure an OpenSSL FIPS provider, or start without --enable-fips.`,
  }
}
