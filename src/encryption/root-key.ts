import { createSecretKey, type KeyObject } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { deriveKey } from '../crypto/derive.ts'
import { wipe } from '../crypto/wrap.ts'
import type { Env } from '../base/env.ts'
import { writeFileAtomically } from '../store/atomic-file.ts'

/** The keys that are derived from the root key, one for each purpose (HKDF-SHA-256 with a label), so none can replace another. */
export interface RootKeys {
  /** Seals the key-encryption keys of accounts under service-managed keys. */
  readonly service: KeyObject
  /** Authenticates the rows of the key ring. */
  readonly mac: KeyObject
  /** Wraps the blob keys of deployments' own copies. */
  readonly deployment: KeyObject
  /** Seals the private keys of the embedded vault ("the HSM"). */
  readonly hsm: KeyObject
  /** Authenticates every record of the database, and their set. */
  readonly records: KeyObject
  /** Seals token signing keys and the administrator's secret. */
  readonly identity: KeyObject
  /** Wraps the blob keys of sealed base models. */
  readonly bases: KeyObject
}

const ROOT_KEY_BYTES = 32

/**
 * Reads the root key: base64 of 32 bytes from `OWNKEY_ROOT_KEY` when given, else the file.
 * @throws when the text is not 32 bytes of base64
 */
export async function openRootKeys(options: {
  file: string
  fromEnvironment?: string | undefined
  /** Makes it where it is missing; for a new folder only. */
  makeWith?: Env
}): Promise<RootKeys> {
  const text = options.fromEnvironment ?? (await readOrCreate(options.file, options.makeWith))
  const bytes = Buffer.from(text.trim(), 'base64')
  if (bytes.length !== ROOT_KEY_BYTES) {
    const source = options.fromEnvironment === undefined ? `The root key file ${options.file}` : 'OWNKEY_ROOT_KEY'
    throw new Error(
      `${source} does not hold 32 bytes of base64. Restore it from its backup: without it, no data of this folder can be opened.`,
    )
  }
  const root = createSecretKey(bytes)
  wipe(bytes)
  return {
    service: deriveKey(root, 'ownkey/v1/service-managed-keys'),
    mac: deriveKey(root, 'ownkey/v1/key-ring-mac'),
    deployment: deriveKey(root, 'ownkey/v1/deployments'),
    hsm: deriveKey(root, 'ownkey/v1/embedded-vault'),
    records: deriveKey(root, 'ownkey/v1/records'),
    identity: deriveKey(root, 'ownkey/v1/identity'),
    bases: deriveKey(root, 'ownkey/v1/base-models'),
  }
}

async function readOrCreate(file: string, env: Env | undefined): Promise<string> {
  try {
    return await readFile(file, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
    if (env === undefined)
      throw new Error(`${file} is missing: restore it from its backup, or set OWNKEY_ROOT_KEY.`, { cause: error })
  }
  const text = `${env.randomBytes(ROOT_KEY_BYTES).toString('base64')}\n`
  await writeFileAtomically(file, text, 0o600)
  return text
}
