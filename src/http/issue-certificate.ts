import type { webcrypto } from 'node:crypto'
import * as x509 from '@peculiar/x509'

const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' }
const dayMs = 86_400_000
/** RFC 5280 4.2.1.10 */
const nameConstraintsId = '2.5.29.30'

export interface IssuedCertificate {
  readonly certificatePem: string
  readonly keyPem: string
}

/** The common name of the CA for a domain. */
export function authorityName(domain: string): string {
  return `OwnKey local CA for ${domain}`
}

/**
 * A certificate authority that can vouch for `domain`, its subdomains and loopback addresses only, so a thief of its key gains no other
 * name. It keeps the key and name of `former`, if given, and begins now.
 */
export async function issueAuthority(domain: string, former?: IssuedCertificate): Promise<IssuedCertificate> {
  const keys = former === undefined ? await newKeys() : await keysOf(former)
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    // NSS treats CAs with the same subject as one, so each cloud's CA has its own.
    name: `CN=${authorityName(domain)}, OU=${await keyDigits(keys.publicKey)}, O=OwnKey`,
    ...validFor(3650),
    keys,
    signingAlgorithm: algorithm,
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
      new x509.Extension(nameConstraintsId, true, nameConstraints(domain)),
    ],
  })
  return { certificatePem: pem(certificate), keyPem: former?.keyPem ?? (await exportKey(keys)) }
}

/** A server certificate for `names` and the loopback addresses. Apple's and browsers' rules allow 397 days at most. */
export async function issueServerCertificate(
  authority: IssuedCertificate,
  names: readonly string[],
): Promise<IssuedCertificate> {
  const issuer = new x509.X509Certificate(authority.certificatePem)
  const keys = await newKeys()
  const certificate = await x509.X509CertificateGenerator.create({
    subject: `CN=${names[0]}, O=OwnKey`,
    issuer: issuer.subject,
    ...validFor(396),
    publicKey: keys.publicKey,
    signingKey: await importKey(authority.keyPem),
    signingAlgorithm: algorithm,
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth]),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
      await x509.AuthorityKeyIdentifierExtension.create(issuer.publicKey),
      new x509.SubjectAlternativeNameExtension([
        ...names.map(value => ({ type: 'dns' as const, value })),
        { type: 'ip', value: '127.0.0.1' },
        { type: 'ip', value: '::1' },
      ]),
    ],
  })
  return { certificatePem: pem(certificate), keyPem: await exportKey(keys) }
}

async function keyDigits(key: webcrypto.CryptoKey): Promise<string> {
  const digest = await crypto.subtle.digest('SHA-256', await crypto.subtle.exportKey('spki', key))
  return Buffer.from(digest).toString('hex').slice(0, 16)
}

/** Valid from a day ago, for clients whose clock is behind. */
function validFor(days: number): { notBefore: Date; notAfter: Date } {
  const now = Math.floor(Date.now() / 1000) * 1000
  return { notBefore: new Date(now - dayMs), notAfter: new Date(now + days * dayMs) }
}

async function newKeys(): Promise<webcrypto.CryptoKeyPair> {
  return crypto.subtle.generateKey(algorithm, true, ['sign', 'verify'])
}

async function keysOf({ certificatePem, keyPem }: IssuedCertificate): Promise<webcrypto.CryptoKeyPair> {
  const publicKey = await new x509.X509Certificate(certificatePem).publicKey.export(algorithm, ['verify'])
  return { publicKey, privateKey: await importKey(keyPem) }
}

async function exportKey(keys: webcrypto.CryptoKeyPair): Promise<string> {
  return `${x509.PemConverter.encode(await crypto.subtle.exportKey('pkcs8', keys.privateKey), 'PRIVATE KEY')}\n`
}

async function importKey(keyPem: string): Promise<webcrypto.CryptoKey> {
  const [der] = x509.PemConverter.decode(keyPem)
  if (!der) throw new Error('The key file of the local CA holds no key.')
  return crypto.subtle.importKey('pkcs8', der, algorithm, false, ['sign'])
}

function pem(certificate: x509.X509Certificate): string {
  return `${certificate.toString('pem')}\n`
}

/** NameConstraints ::= SEQUENCE { [0] permittedSubtrees }, in DER: the domain with all below it, 127.0.0.0/8 and ::1. */
function nameConstraints(domain: string): ArrayBuffer {
  const dns = der(0x82, Buffer.from(domain, 'ascii'))
  const v4 = der(0x87, Buffer.from([127, 0, 0, 0, 255, 0, 0, 0]))
  const v6 = der(0x87, Buffer.concat([Buffer.alloc(15), Buffer.from([1]), Buffer.alloc(16, 255)]))
  const subtrees = [dns, v4, v6].map(name => der(0x30, name))
  const bytes = der(0x30, der(0xa0, Buffer.concat(subtrees)))
  return new Uint8Array(bytes).buffer
}

function der(tag: number, content: Buffer): Buffer {
  const length = content.length < 128 ? [content.length] : [0x81, content.length]
  return Buffer.concat([Buffer.from([tag, ...length]), content])
}
