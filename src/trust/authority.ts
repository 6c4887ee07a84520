import { X509Certificate } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { checkDataFolder, startCommand } from '../base/data-folder.ts'

/** The one CA of a cloud, as trust stores know it. */
export interface Authority {
  readonly pem: string
  /** Where it lies, absolute. */
  readonly file: string
  /** SHA-256 of the certificate in 64 hex digits, lower case. */
  readonly fingerprint: string
  /** `ownkey-` and the first 16 digits of the fingerprint: two clouds never share it. */
  readonly name: string
  readonly subject: string
  readonly expiresAt: Date
}

/** id-ce-nameConstraints (RFC 5280, 4.2.1.10), marked critical, in DER. */
const CONSTRAINED = Buffer.from('0603551d1e0101ff', 'hex')

/** @throws when no cloud has been started in the folder, and when its certificate could vouch for names of others */
export async function readAuthority(dataDir: string): Promise<Authority> {
  const file = resolve(join(dataDir, 'ca', 'ca.pem'))
  const pem = await readFile(file, 'utf8').catch(async (error: NodeJS.ErrnoException) => {
    // This says more about a folder that is not there, or that this user may not read.
    await checkDataFolder(dataDir)
    if (error.code !== 'ENOENT') throw error
    throw new Error(`There is no ${file}. Starting the cloud makes it:\n${startCommand(dataDir)}`)
  })
  const certificate = parsed(pem, file)
  // A store trusts a CA for everything that it signs, so only a CA that is bound to this machine's names goes in.
  if (!certificate.ca || !certificate.raw.includes(CONSTRAINED))
    throw new Error(`${file} is not a CA that is limited to names of its cloud, so nothing was trusted.`)
  return authorityOf(certificate, pem, file)
}

/** An entry of a store under one of our names; undefined for other entries. */
export function storedAuthority(pem: string, file: string): Authority | undefined {
  try {
    return authorityOf(new X509Certificate(pem), pem, file)
  } catch {
    return undefined
  }
}

/** Names that CAs have in stores. */
export const STORED_NAME = /^ownkey-[0-9a-f]{16}$/

function authorityOf(certificate: X509Certificate, pem: string, file: string): Authority {
  const fingerprint = fingerprintOf(certificate)
  return {
    pem,
    file,
    fingerprint,
    name: `ownkey-${fingerprint.slice(0, 16)}`,
    subject: certificate.subject.replaceAll('\n', ', '),
    expiresAt: new Date(certificate.validTo),
  }
}

function fingerprintOf(certificate: X509Certificate): string {
  return certificate.fingerprint256.replaceAll(':', '').toLowerCase()
}

/** Whether one of the certificates in the text is the authority's. Text that is not a certificate is skipped. */
export function holds(text: string, { fingerprint }: Authority): boolean {
  const blocks = text.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? []
  return blocks.some(block => {
    try {
      return fingerprintOf(new X509Certificate(block)) === fingerprint
    } catch {
      return false
    }
  })
}

function parsed(pem: string, file: string): X509Certificate {
  try {
    return new X509Certificate(pem)
  } catch (error) {
    throw new Error(`${file} is not a certificate: restore the folder 'ca', or remove it to begin with a new CA.`, {
      cause: error,
    })
  }
}
