import { createHash, createSecretKey, hkdfSync, timingSafeEqual } from 'node:crypto'
import type { KeyObject } from 'node:crypto'
import { encodeContext } from './encode-context.ts'
import { SealError } from './seal-error.ts'

/** What a blob is bound to. It has no key id, since a rotation must not touch blobs (R18). */
export interface BlobContext {
  /** The account's immutable internal id, not a name that someone else may later hold. */
  accountId: string
  /** Data kind, for example `training-data`. */
  kind: string
  /** A UUID in lower case; its 16 bytes stand in the header. */
  blobId: string
  /** Generation of the account data key. */
  generation: number
}

export const HEADER_BYTES = 96
export const CHUNK_BYTES = 65_536

/** The closed table of docs/sealed-blob.md: version 1 has one suite, one chunk size and no flags. */
const MAGIC = Buffer.from('OwnKeySealed', 'latin1')
const VERSION = 1
const AES_256_GCM_HKDF_SHA256 = 1
const LOG2_CHUNK = 16
const NO_FLAGS = 0

const ID_AT = 16
const SALT_AT = 32
const COMMITMENT_AT = 64
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/
const MAX_TEXT = 256

export interface BlobKeys {
  commitment: Buffer
  content: KeyObject
  metadata: KeyObject
}

/** SHA-256 over the canonical encoding of the context. @throws SealError BadContext */
function contextDigest(context: BlobContext): Buffer {
  for (const field of ['accountId', 'kind'] as const) {
    const value = context[field]
    if (typeof value !== 'string' || value.length === 0 || value.length > MAX_TEXT)
      throw new SealError(
        'BadContext',
        `The ${field} of a blob's context must be a text of 1 to ${MAX_TEXT} characters.`,
      )
  }
  return createHash('sha256')
    .update(encodeContext(context.accountId, context.kind, blobIdBytes(context.blobId), context.generation))
    .digest()
}

function blobIdBytes(blobId: string): Buffer {
  if (typeof blobId !== 'string' || !UUID.test(blobId))
    throw new SealError('BadContext', 'The blobId must be a UUID in lower case, as crypto.randomUUID() gives it.')
  return Buffer.from(blobId.replaceAll('-', ''), 'hex')
}

/** Key commitment, content key and metadata key of a blob: one HKDF-SHA-256 over the whole header. */
function deriveBlobKeys(key: KeyObject | Uint8Array, prefix: Uint8Array, context: BlobContext): BlobKeys {
  const size = key instanceof Uint8Array ? key.length : key.symmetricKeySize
  if (size !== 32) throw new SealError('BadKey', 'A blob key must be a secret of 32 bytes.')
  const info = encodeContext('ownkey sealed blob', prefix, contextDigest(context))
  const okm = Buffer.from(hkdfSync('sha256', key, prefix.subarray(SALT_AT, COMMITMENT_AT), info, 96))
  const keys = {
    commitment: Buffer.from(okm.subarray(0, 32)),
    content: createSecretKey(okm.subarray(32, 64)),
    metadata: createSecretKey(okm.subarray(64, 96)),
  }
  okm.fill(0)
  return keys
}

/** A new header and the keys of its blob. The salt must be 32 fresh random bytes. @throws SealError BadContext, BadKey */
export function createHeader(
  key: KeyObject | Uint8Array,
  context: BlobContext,
  salt: Uint8Array,
): { header: Buffer; keys: BlobKeys } {
  if (salt.length !== 32) throw new SealError('BadLength', 'The salt of a blob has 32 bytes.')
  const header = Buffer.alloc(HEADER_BYTES)
  MAGIC.copy(header)
  header.set([VERSION, AES_256_GCM_HKDF_SHA256, LOG2_CHUNK, NO_FLAGS], MAGIC.length)
  header.set(blobIdBytes(context.blobId), ID_AT)
  header.set(salt, SALT_AT)
  const keys = deriveBlobKeys(key, header.subarray(0, COMMITMENT_AT), context)
  header.set(keys.commitment, COMMITMENT_AT)
  return { header, keys }
}

/** Checks a header against key and context and derives the blob's keys. @throws SealError Truncated, BadHeader, BadContext, BadKey, WrongKey */
export function openHeader(key: KeyObject | Uint8Array, context: BlobContext, header: Uint8Array): BlobKeys {
  if (header.length !== HEADER_BYTES)
    throw new SealError(
      'Truncated',
      `A sealed blob begins with ${HEADER_BYTES} bytes of header, there are ${header.length}: restore the file from a backup.`,
    )
  if (!MAGIC.equals(header.subarray(0, MAGIC.length)))
    throw new SealError(
      'BadHeader',
      'This is not a sealed blob: the magic is missing. The file is damaged or another file lies in its place.',
    )
  const [version, suite, log2Chunk, flags] = header.subarray(MAGIC.length, ID_AT)
  if (version !== VERSION)
    throw new SealError(
      'BadHeader',
      `Version ${version} of the sealed blob is unknown: a newer OwnKey wrote it, or it is damaged.`,
    )
  if (suite !== AES_256_GCM_HKDF_SHA256 || log2Chunk !== LOG2_CHUNK || flags !== NO_FLAGS)
    throw new SealError(
      'BadHeader',
      `Suite ${suite}, chunk size 2^${log2Chunk} or flags ${flags} do not exist in version 1: the file is damaged.`,
    )
  if (!blobIdBytes(context.blobId).equals(header.subarray(ID_AT, SALT_AT)))
    throw new SealError('BadHeader', 'The header names another blob: a file was moved into the place of this one.')
  const keys = deriveBlobKeys(key, header.subarray(0, COMMITMENT_AT), context)
  if (!timingSafeEqual(keys.commitment, header.subarray(COMMITMENT_AT)))
    throw new SealError(
      'WrongKey',
      'The key or the context (account, kind, generation) is not the one this blob was sealed with, or its header was altered.',
    )
  return keys
}
