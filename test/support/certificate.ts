import type { webcrypto } from 'node:crypto'
import { provideMetadataFunctions } from '../../src/http/metadata-reflection.ts'

/** A self-signed certificate of a client: `pem` holds certificate and key, `der` is base64. */
export async function makeCertificate(
  name: string,
  options: { readonly bits?: number; readonly days?: number } = {},
): Promise<{ pem: string; der: string; privateKey: webcrypto.CryptoKey }> {
  provideMetadataFunctions()
  const x509 = await import('@peculiar/x509')
  const algorithm = {
    name: 'RSASSA-PKCS1-v1_5',
    hash: 'SHA-256',
    publicExponent: new Uint8Array([1, 0, 1]),
    modulusLength: options.bits ?? 2048,
  }
  const keys = await crypto.subtle.generateKey(algorithm, true, ['sign', 'verify'])
  const now = Date.now()
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    name,
    notBefore: new Date(now - 3 * 86_400_000),
    notAfter: new Date(now + (options.days ?? 30) * 86_400_000),
    keys,
    signingAlgorithm: algorithm,
  })
  const pkcs8 = Buffer.from(await crypto.subtle.exportKey('pkcs8', keys.privateKey)).toString('base64')
  const key = `-----BEGIN PRIVATE KEY-----\n${pkcs8.replace(/(.{64})/g, '$1\n')}\n-----END PRIVATE KEY-----\n`
  const der = Buffer.from(certificate.rawData).toString('base64')
  return { pem: `${certificate.toString('pem')}\n${key}`, der, privateKey: keys.privateKey }
}
