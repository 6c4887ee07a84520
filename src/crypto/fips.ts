import { createCipheriv, createHash, getFips } from 'node:crypto'

const SHA256_ABC = 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad'
/** AES-256-GCM, key and IV all zero, empty text: test case 13 of the GCM specification. */
const GCM_TAG = '530f8afbc74536b9a963b4f1c4cb738b'

function works(check: () => boolean): boolean {
  try {
    return check()
  } catch {
    return false
  }
}

/**
 * `active`: a FIPS provider is loaded, approved algorithms work and MD5 is refused. `broken`: Node reports FIPS mode, but the module is
 * missing or does not work (setFips(true) succeeds without one, then SHA-256 throws). `off`: not asked for.
 */
export function fipsStatus(): 'active' | 'off' | 'broken' {
  if (getFips() !== 1) return 'off'
  const approved = works(() => createHash('sha256').update('abc').digest('hex') === SHA256_ABC && gcmTag() === GCM_TAG)
  const md5 = works(() => createHash('md5').update('').digest().length === 16)
  return approved && !md5 ? 'active' : 'broken'
}

function gcmTag(): string {
  const cipher = createCipheriv('aes-256-gcm', Buffer.alloc(32), Buffer.alloc(12))
  cipher.final()
  return cipher.getAuthTag().toString('hex')
}
