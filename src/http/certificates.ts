import { createPrivateKey, X509Certificate } from 'node:crypto'
import { mkdir, open, readFile, rename } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { Env } from '../base/env.ts'
import { plainError } from '../base/plain-error.ts'
import type { IssuedCertificate } from './issue-certificate.ts'
import { provideMetadataFunctions } from './metadata-reflection.ts'

const renewBeforeMs = 30 * 86_400_000

/** What a listener needs for TLS, and what clients need to trust it. */
export interface ServerCertificates {
  /** The local CA's certificate, which users give to their tools. */
  readonly caPem: string
  /** The file of `caPem`, for NODE_EXTRA_CA_CERTS and the like. */
  readonly caFile: string
  readonly certificatePem: string
  readonly keyPem: string
  readonly expiresAt: Date
}

/** What to do about the CA: `keep` the one that must be there, `make` one where there is none, `replace` whatever is there. */
export type AuthorityMode = 'keep' | 'make' | 'replace'
export interface CertificateOptions {
  /** Default `make`. */
  readonly authority?: AuthorityMode
  /** A notice for the operator: a new CA has to be trusted anew. */
  readonly notice?: (message: string) => void
}

/** The names of a server certificate. Single hosts are listed one by one too, since browsers refuse `*.localhost`. */
export function certificateNames(domain: string): string[] {
  const single = ['login', 'management', 'portal', 'vault', 'openai'].map(host => `${host}.${domain}`)
  return [domain, `*.${domain}`, ...single, `*.vault.${domain}`, `*.openai.${domain}`]
}

/**
 * Opens the local CA in `dir` (its key is kept for ever, see AuthorityMode) and a server certificate under it. The server certificate is
 * renewed when it has less than 30 days left, begins in the future (the clock was wrong when it was made), is damaged, or its names no
 * longer fit. The CA is renewed when it has ended or begins in the future. Certificates follow the system's clock, as TLS clients do.
 * @throws Error that names the file where the CA is missing or damaged
 */
export async function openCertificates(
  dir: string,
  domain: string,
  env: Env,
  { authority: mode = 'make', notice = () => {} }: CertificateOptions = {},
): Promise<ServerCertificates> {
  if (mode !== 'keep') await mkdir(dir, { recursive: true, mode: 0o700 })
  const caFile = join(dir, 'ca.pem')
  const kept = await keptAuthority(dir, mode)
  const own = kept && vouchesFor(kept, domain) ? kept : undefined
  const authority = own && holdsFor(own, 0) ? own : await newAuthority(dir, domain, env, own)
  if (own !== undefined && own !== authority)
    notice(`${caFile} was not valid at this time and begins anew, with the same key: trust it again (./ownkey trust).`)
  const names = certificateNames(domain)
  const present = await loadOrNone(join(dir, 'server.pem'), join(dir, 'server-key.pem'))
  const server = present && stillGood(present, authority, names) ? present : await newServer(dir, authority, names, env)
  return {
    caPem: authority.certificatePem,
    caFile,
    ...server,
    expiresAt: new Date(new X509Certificate(server.certificatePem).validTo),
  }
}

async function keptAuthority(dir: string, mode: AuthorityMode): Promise<IssuedCertificate | undefined> {
  if (mode === 'replace') return undefined
  return mode === 'keep' ? loadAuthority(dir) : load(join(dir, 'ca.pem'), join(dir, 'ca-key.pem'))
}

/** Every client trusts this CA, so another one in its place would look like an attack. */
async function loadAuthority(dir: string): Promise<IssuedCertificate> {
  const [caFile, keyFile] = [join(dir, 'ca.pem'), join(dir, 'ca-key.pem')]
  const advice = `Put ${caFile} and ${keyFile} back from a backup. To begin with a new CA, which every client has to trust anew, start once with --new-ca.`
  let kept: IssuedCertificate | undefined
  try {
    kept = await load(caFile, keyFile)
  } catch (error) {
    throw new Error(`${plainError(error)} ${advice}`, { cause: error })
  }
  if (kept !== undefined) return kept
  const missing = (await readIfPresent(caFile)) === undefined ? caFile : keyFile
  throw new Error(`${missing} is missing or empty. ${advice}`)
}

async function loadOrNone(certificateFile: string, keyFile: string): Promise<IssuedCertificate | undefined> {
  return load(certificateFile, keyFile).catch(() => undefined)
}

async function load(certificateFile: string, keyFile: string): Promise<IssuedCertificate | undefined> {
  const [certificatePem, keyPem] = await Promise.all([readIfPresent(certificateFile), readIfPresent(keyFile)])
  if (certificatePem === undefined || keyPem === undefined) return undefined
  const certificate = parsed(certificateFile, () => new X509Certificate(certificatePem))
  const key = parsed(keyFile, () => createPrivateKey(keyPem))
  if (!certificate.checkPrivateKey(key)) throw new Error(`${keyFile} is not the key of ${certificateFile}.`)
  return { certificatePem, keyPem }
}

/** OpenSSL's own message is only "no start line". */
function parsed<T>(file: string, parse: () => T): T {
  try {
    return parse()
  } catch (error) {
    throw new Error(`${file} is damaged.`, { cause: error })
  }
}

/** The CA is constrained to its domain and the names below it, so another domain needs another CA. */
function vouchesFor(authority: IssuedCertificate, domain: string): boolean {
  const made = / for ([a-z0-9.-]+)$/im.exec(new X509Certificate(authority.certificatePem).subject)?.[1]
  return made !== undefined && (domain === made || domain.endsWith(`.${made}`))
}

/** Whether they have to be opened again, because one is about to end. */
export function areDue({ caPem, certificatePem, keyPem }: ServerCertificates): boolean {
  return !holdsFor({ certificatePem: caPem, keyPem }, 0) || !holdsFor({ certificatePem, keyPem }, renewBeforeMs)
}

/** Whether it is valid now and for so long. */
function holdsFor({ certificatePem }: IssuedCertificate, ms: number): boolean {
  const { validFrom, validTo } = new X509Certificate(certificatePem)
  return Date.parse(validFrom) <= Date.now() && Date.parse(validTo) - Date.now() > ms
}

function stillGood(server: IssuedCertificate, authority: IssuedCertificate, names: readonly string[]): boolean {
  const certificate = new X509Certificate(server.certificatePem)
  const issued = certificate.verify(new X509Certificate(authority.certificatePem).publicKey)
  const lasts = holdsFor(server, renewBeforeMs)
  const present = new Set((certificate.subjectAltName ?? '').split(', '))
  return issued && lasts && names.every(name => present.has(`DNS:${name}`))
}

async function newAuthority(
  dir: string,
  domain: string,
  env: Env,
  former: IssuedCertificate | undefined,
): Promise<IssuedCertificate> {
  const { issueAuthority } = await issuer()
  const authority = await issueAuthority(domain, former)
  if (former === undefined) await writeDurably(join(dir, 'ca-key.pem'), authority.keyPem, 0o600, env)
  await writeDurably(join(dir, 'ca.pem'), authority.certificatePem, 0o644, env)
  return authority
}

async function newServer(
  dir: string,
  authority: IssuedCertificate,
  names: readonly string[],
  env: Env,
): Promise<IssuedCertificate> {
  const { issueServerCertificate } = await issuer()
  const server = await issueServerCertificate(authority, names)
  // A crash between the two writes would leave a pair that does not fit, so the old certificate goes first.
  await writeDurably(join(dir, 'server.pem'), '', 0o644, env)
  await writeDurably(join(dir, 'server-key.pem'), server.keyPem, 0o600, env)
  await writeDurably(join(dir, 'server.pem'), server.certificatePem, 0o644, env)
  return server
}

/** Loaded only where a certificate is made: the X.509 library takes longer to load than the rest of the module. */
async function issuer(): Promise<typeof import('./issue-certificate.ts')> {
  provideMetadataFunctions()
  return import('./issue-certificate.ts')
}

/** Absent or empty: undefined. */
async function readIfPresent(file: string): Promise<string | undefined> {
  try {
    return (await readFile(file, 'utf8')) || undefined
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}

async function writeDurably(file: string, content: string, mode: number, env: Env): Promise<void> {
  const temporary = `${file}.${env.uuid()}.tmp`
  const handle = await open(temporary, 'wx', mode)
  try {
    await handle.writeFile(content)
    await handle.sync()
  } finally {
    await handle.close()
  }
  await rename(temporary, file)
  // Before the sync a power cut may lose the file, and every client would have to trust another CA.
  const folder = await open(dirname(file), 'r')
  try {
    await folder.sync()
  } finally {
    await folder.close()
  }
}
