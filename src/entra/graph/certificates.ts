import { createHash, X509Certificate } from 'node:crypto'
import type { z } from 'zod'
import type { Env } from '../../base/env.ts'
import type { ClientCertificate } from '../records.ts'
import type { keyCredential } from './application-shape.ts'
import { badRequest } from './graph-route.ts'

const smallestRsa = 2048

/** The new list of an application's certificates: those named by `keyId`, and new ones. @throws 400 */
export function certificatesFrom(
  env: Env,
  wanted: readonly z.infer<typeof keyCredential>[],
  known: readonly ClientCertificate[],
): ClientCertificate[] {
  const found = wanted.map(({ keyId, displayName, key }) => {
    if (key !== undefined && key !== null) return newCertificate(env, key, displayName ?? undefined)
    const kept = known.find(certificate => certificate.keyId === keyId?.toLowerCase())
    if (kept === undefined)
      throw badRequest(`There is no certificate '${keyId ?? ''}', and no key to make one from.`, 'keyCredentials')
    return kept
  })
  const digests = new Set(found.map(({ x5tS256 }) => x5tS256))
  if (digests.size !== found.length) throw badRequest('A certificate is in the list twice.', 'keyCredentials')
  return found
}

function newCertificate(env: Env, key: string, displayName: string | undefined): ClientCertificate {
  const certificate = readCertificate(key)
  const { asymmetricKeyType, asymmetricKeyDetails } = certificate.publicKey
  if (asymmetricKeyType !== 'rsa' || (asymmetricKeyDetails?.modulusLength ?? 0) < smallestRsa)
    throw badRequest(`The certificate must have an RSA key of ${smallestRsa} bits or more.`, 'keyCredentials')
  const [notBefore, notAfter] = [Date.parse(certificate.validFrom), Date.parse(certificate.validTo)]
  if (notAfter <= env.now()) throw badRequest('The certificate has expired.', 'keyCredentials')
  const der = certificate.raw
  return {
    keyId: env.uuid(),
    displayName: displayName ?? certificate.subject.replaceAll('\n', ', ').slice(0, 256),
    certificate: der.toString('base64'),
    x5t: createHash('sha1').update(der).digest('base64url'),
    x5tS256: createHash('sha256').update(der).digest('base64url'),
    notBefore,
    notAfter,
  }
}

/** Base64 of DER, or of PEM as az sends it. */
function readCertificate(key: string): X509Certificate {
  try {
    return new X509Certificate(Buffer.from(key, 'base64'))
  } catch {
    throw badRequest("The property 'key' must be a certificate: base64 of DER or PEM.", 'keyCredentials')
  }
}
