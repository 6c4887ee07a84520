const PEM = /-----BEGIN PRIVATE KEY-----([\s\S]+?)-----END PRIVATE KEY-----/

/** A private key as JSON Web Key, or converted in the browser from an RSA key in PEM (PKCS #8). @throws Error with a message for people */
export async function readKeyFile(file: File | undefined): Promise<object> {
  const text = (await file?.text()) ?? ''
  const pem = PEM.exec(text)?.[1]
  if (pem !== undefined) return jwkOfPem(pem)
  try {
    return JSON.parse(text) as object
  } catch {
    throw new Error(
      text.includes('-----BEGIN')
        ? 'Of PEM files only private RSA keys in PKCS #8 without a password are read: openssl pkcs8 -topk8 -nocrypt -in key.pem'
        : 'The file is neither a JSON Web Key nor a private key in PEM.',
    )
  }
}

async function jwkOfPem(base64: string): Promise<object> {
  const bytes = Uint8Array.from(atob(base64.replaceAll(/\s/g, '')), letter => letter.charCodeAt(0))
  const algorithm = { name: 'RSA-OAEP', hash: 'SHA-256' }
  const key = await crypto.subtle.importKey('pkcs8', bytes, algorithm, true, ['decrypt']).catch(() => {
    throw new Error('The file holds no RSA key.')
  })
  const { kty, n, e, d, p, q, dp, dq, qi } = await crypto.subtle.exportKey('jwk', key)
  return { kty, n, e, d, p, q, dp, dq, qi }
}
