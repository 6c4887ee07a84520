import { createSecretKey } from 'node:crypto'
import { z } from 'zod'
import { aesKwpUnwrap, wipe } from '../crypto/wrap.ts'
import type { DataContext } from './data-route.ts'
import { badParameter } from './errors.ts'
import { findVersion } from './find-version.ts'
import { checkEnabled } from './key-rules.ts'
import { asBadParameter } from './software-operations.ts'

/** The file that an HSM vendor's tool makes (Azure Key Vault, "Bring your own key specification", 1.0.0). */
const transferBlob = z.object({
  schema_version: z.literal('1.0.0'),
  header: z.object({
    kid: z.string().max(1024),
    alg: z.literal('dir'),
    enc: z.literal('CKM_RSA_AES_KEY_WRAP'),
  }),
  ciphertext: z
    .string()
    .max(32 * 1024)
    .regex(/^[A-Za-z0-9_-]+={0,2}$/),
})

/**
 * R06: opens a key that was wrapped for this vault (PKCS #11, CKM_RSA_AES_KEY_WRAP): an AES key under the public half of
 * an RSA-HSM key whose only operation is `import`, then PKCS #8 or a symmetric key under that AES key. The caller wipes it.
 * @throws 400 BadParameter, 404 when the wrapping key is not in this vault
 */
export async function openTransferBlob(context: DataContext, keyHsm: string): Promise<Buffer> {
  const { header, ciphertext } = parse(keyHsm)
  const { key, version } = await findVersion(wrappingKey(context, header.kid))
  checkEnabled(version.value, 'import')
  if (!version.value.keyOps.includes('import')) {
    throw badParameter(
      "The key that wraps a transfer blob must have been created with key_ops ['import'].",
      'key.key_hsm',
    )
  }
  const bytes = Buffer.from(ciphertext, 'base64url')
  const block = version.value.size / 8
  const usable = await context.services.materials.open(context.vault, key.value.name, version.value)
  const wrapped = { alg: 'RSA-OAEP', value: bytes.subarray(0, block) }
  const { value: aes } = await usable.perform('unwrapKey', wrapped)
  try {
    return await asBadParameter(
      async () => aesKwpUnwrap(createSecretKey(aes), bytes.subarray(block)),
      () => 'key.key_hsm',
    )
  } finally {
    wipe(aes)
  }
}

function parse(keyHsm: string): z.infer<typeof transferBlob> {
  try {
    return transferBlob.parse(JSON.parse(Buffer.from(keyHsm, 'base64url').toString()))
  } catch {
    throw badParameter(
      "'key.key_hsm' must be the base64url of a transfer blob: JSON with schema_version 1.0.0, header {kid, alg 'dir', enc 'CKM_RSA_AES_KEY_WRAP'} and ciphertext.",
      'key.key_hsm',
    )
  }
}

/** The key version that `kid` names. It must be in this vault; the host of the request does not matter. */
function wrappingKey(context: DataContext, kid: string): DataContext {
  const match = /^https:\/\/([^./]+)\.[^/]+\/keys\/([0-9a-z-]{1,127})\/([0-9a-f]{32})\/?$/i.exec(kid)
  const [, vault = '', name = '', version = ''] = match ?? []
  if (vault.toLowerCase() === context.call.label) {
    return { ...context, name, call: { ...context.call, params: { name, version } } }
  }
  throw badParameter("The transfer blob's 'kid' must name a key of this vault, with its version.", 'key.key_hsm')
}
