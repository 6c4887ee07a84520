import { randomBytes } from 'node:crypto'
import { attributeBytes, longBytes, longs, withArena, type Arena, type Template } from './arena.ts'
import { CKA, CKG_MGF1, CKK_RSA, CKM, CKO_PRIVATE_KEY, CKZ_DATA_SPECIFIED } from './constants.ts'
import { isReason, isSessionLost, loadCryptoki, type Cryptoki } from './cryptoki.ts'
import { openSessions, type Sessions } from './sessions.ts'
import { findToken } from './slots.ts'
import { TokenKeyMissing } from './token-error.ts'

export interface TokenOptions {
  /** The module's shared library. */
  readonly modulePath: string
  /** Absent: the only token there is. */
  readonly label?: string | undefined
  readonly pin: () => Promise<Buffer>
}

/** A private RSA key in the token: the id by which it is found, and its public half, big-endian. */
export interface TokenRsaKey {
  /** CKA_ID, 32 hexadecimal digits. */
  readonly id: string
  readonly n: Buffer
  readonly e: Buffer
}

/** The numbers of an RSA private key (RFC 8017, 3.2), big-endian. */
export type RsaNumbers = Readonly<Record<'n' | 'e' | 'd' | 'p' | 'q' | 'dp' | 'dq' | 'qi', Buffer>>

type Hash = 'sha1' | 'sha256' | 'sha384' | 'sha512'

/** What is done to the input with the private key. `raw` is RSADP alone: the padding is the caller's. */
export type Decryption = { readonly type: 'oaep'; readonly hash: Hash } | { readonly type: 'raw' }
export type Signing = { readonly type: 'pkcs1' } | { readonly type: 'pss'; readonly hash: Hash }

/** RSA keys in a PKCS #11 token. They are sensitive and not extractable: they never leave the token. */
export interface Token {
  readonly label: string
  generateRsa(bits: number, publicExponent: number): Promise<TokenRsaKey>
  /** The caller wipes the numbers. */
  importRsa(numbers: RsaNumbers): Promise<TokenRsaKey>
  /** @throws TokenError, TokenKeyMissing */
  decrypt(id: string, decryption: Decryption, ciphertext: Uint8Array): Promise<Buffer>
  /** `input`: for pkcs1 a DigestInfo, for pss a digest. @throws TokenError, TokenKeyMissing */
  sign(id: string, signing: Signing, input: Uint8Array): Promise<Buffer>
  /** For good. A key that is gone already is not an error. */
  destroy(id: string): Promise<void>
  close(): Promise<void>
}

const MAX_BLOCK = 2048
const MAX_HANDLES = 4096
const MECHANISMS = {
  sha1: [CKM.SHA_1, CKG_MGF1.SHA1, 20],
  sha256: [CKM.SHA256, CKG_MGF1.SHA256, 32],
  sha384: [CKM.SHA384, CKG_MGF1.SHA384, 48],
  sha512: [CKM.SHA512, CKG_MGF1.SHA512, 64],
} as const

/** Loads the module, finds the token and logs in. @throws Error that says which of the three failed, and what to do */
export async function openToken({ modulePath, label, pin }: TokenOptions): Promise<Token> {
  const cryptoki = await loadCryptoki(modulePath)
  try {
    const found = await findToken(cryptoki, label)
    const sessions = openSessions(cryptoki, found.slot, pin)
    await sessions.use(async () => undefined)
    return new RsaToken(cryptoki, sessions, found.label)
  } catch (error) {
    await cryptoki.close()
    throw error
  }
}

class RsaToken implements Token {
  readonly label: string
  readonly #cryptoki: Cryptoki
  readonly #sessions: Sessions
  /** Handles of keys in use, by id. A handle is valid until its object or our sessions are gone. */
  readonly #handles = new Map<string, number>()

  constructor(cryptoki: Cryptoki, sessions: Sessions, label: string) {
    this.label = label
    this.#cryptoki = cryptoki
    this.#sessions = sessions
  }

  generateRsa(bits: number, publicExponent: number): Promise<TokenRsaKey> {
    const id = randomBytes(16)
    const exponent = Buffer.from(publicExponent.toString(16).padStart(8, '0'), 'hex')
    // The public half is a session object: it is read, then destroyed.
    const publicTemplate: Template = [
      [CKA.TOKEN, false],
      [CKA.ENCRYPT, true],
      [CKA.VERIFY, true],
      [CKA.MODULUS_BITS, bits],
      [CKA.PUBLIC_EXPONENT, exponent.subarray(exponent.findIndex(byte => byte !== 0))],
    ]
    return this.#sessions.use(session =>
      withArena(async arena => {
        const [publicKey, privateKey] = [arena.long(0), arena.long(0)]
        const privateTemplate = privateAttributes(id)
        const templates = [
          arena.template(publicTemplate),
          publicTemplate.length,
          arena.template(privateTemplate),
          privateTemplate.length,
        ]
        const mechanism = arena.mechanism(CKM.RSA_PKCS_KEY_PAIR_GEN)
        await this.#cryptoki.call('C_GenerateKeyPair', session, mechanism, ...templates, publicKey, privateKey)
        const [n, e] = await this.#read(session, arena.readLong(publicKey), [CKA.MODULUS, CKA.PUBLIC_EXPONENT])
        await this.#cryptoki.call('C_DestroyObject', session, arena.readLong(publicKey))
        await this.#mustBeLocked(session, arena.readLong(privateKey))
        return { id: id.toString('hex'), n: unsigned(n), e: unsigned(e) }
      }),
    )
  }

  importRsa({ n, e, d, p, q, dp, dq, qi }: RsaNumbers): Promise<TokenRsaKey> {
    const id = randomBytes(16)
    const attributes: Template = [
      [CKA.CLASS, CKO_PRIVATE_KEY],
      [CKA.KEY_TYPE, CKK_RSA],
      ...privateAttributes(id),
      [CKA.MODULUS, n],
      [CKA.PUBLIC_EXPONENT, e],
      [CKA.PRIVATE_EXPONENT, d],
      [CKA.PRIME_1, p],
      [CKA.PRIME_2, q],
      [CKA.EXPONENT_1, dp],
      [CKA.EXPONENT_2, dq],
      [CKA.COEFFICIENT, qi],
    ]
    return this.#sessions.use(session =>
      withArena(async arena => {
        const handle = arena.long(0)
        const template = arena.template(attributes)
        await this.#cryptoki.call('C_CreateObject', session, template, attributes.length, handle)
        await this.#mustBeLocked(session, arena.readLong(handle))
        return { id: id.toString('hex'), n: unsigned(n), e: unsigned(e) }
      }),
    )
  }

  decrypt(id: string, decryption: Decryption, ciphertext: Uint8Array): Promise<Buffer> {
    return this.#operate(id, 'C_Decrypt', arena => decryptionMechanism(arena, decryption), ciphertext)
  }

  sign(id: string, signing: Signing, input: Uint8Array): Promise<Buffer> {
    return this.#operate(id, 'C_Sign', arena => signingMechanism(arena, signing), input)
  }

  async destroy(id: string): Promise<void> {
    this.#handles.delete(id)
    await this.#sessions.use(async session => {
      for (const handle of await this.#find(session, id)) await this.#cryptoki.call('C_DestroyObject', session, handle)
    })
  }

  async close(): Promise<void> {
    await this.#sessions.close()
    await this.#cryptoki.close()
  }

  #operate(
    id: string,
    call: 'C_Decrypt' | 'C_Sign',
    mechanismOf: (arena: Arena) => bigint,
    input: Uint8Array,
  ): Promise<Buffer> {
    const operation = (session: number): Promise<Buffer> =>
      withArena(async arena => {
        const handle = await this.#handleOf(session, id)
        await this.#cryptoki.call(`${call}Init`, session, mechanismOf(arena), handle)
        const output = arena.room(MAX_BLOCK)
        const length = arena.long(MAX_BLOCK)
        await this.#cryptoki.call(call, session, arena.bytes(input), input.length, output, length)
        return arena.read(output, Math.min(arena.readLong(length), MAX_BLOCK))
      })
    const tried = async (session: number): Promise<Buffer> => {
      try {
        return await operation(session)
      } catch (error) {
        if (isSessionLost(error)) this.#handles.clear()
        if (!this.#handles.delete(id) || !isReason(error, 'KEY_HANDLE_INVALID', 'OBJECT_HANDLE_INVALID')) throw error
        return operation(session)
      }
    }
    return this.#sessions.use(tried, { again: true })
  }

  async #handleOf(session: number, id: string): Promise<number> {
    const known = this.#handles.get(id)
    if (known !== undefined) return known
    const [handle] = await this.#find(session, id)
    if (handle === undefined) throw new TokenKeyMissing(id)
    if (this.#handles.size >= MAX_HANDLES) this.#handles.clear()
    this.#handles.set(id, handle)
    return handle
  }

  /** Handles of the private keys with that id. */
  #find(session: number, id: string): Promise<number[]> {
    return withArena(async arena => {
      const wanted: Template = [
        [CKA.CLASS, CKO_PRIVATE_KEY],
        [CKA.ID, Buffer.from(id, 'hex')],
      ]
      const most = 2
      const handles = arena.room(most * longBytes)
      const count = arena.long(0)
      await this.#cryptoki.call('C_FindObjectsInit', session, arena.template(wanted), wanted.length)
      try {
        await this.#cryptoki.call('C_FindObjects', session, handles, most, count)
      } finally {
        await this.#cryptoki.call('C_FindObjectsFinal', session)
      }
      const found = arena.read(handles, arena.readLong(count) * longBytes)
      return Array.from({ length: found.length / longBytes }, (_, at) => Number(found.readBigUInt64LE(at * longBytes)))
    })
  }

  #read(session: number, handle: number, types: readonly number[]): Promise<[Buffer, Buffer]> {
    return withArena(async arena => {
      const values = types.map(() => arena.room(MAX_BLOCK))
      const table = arena.bytes(Buffer.concat(types.map((type, index) => longs(type, values[index] ?? 0n, MAX_BLOCK))))
      await this.#cryptoki.call('C_GetAttributeValue', session, handle, table, types.length)
      return values.map((address, index) =>
        arena.read(address, arena.readLong(table + BigInt(index * attributeBytes + 2 * longBytes))),
      ) as [Buffer, Buffer]
    })
  }

  /** A token that ignores these attributes can't be trusted with keys. */
  async #mustBeLocked(session: number, handle: number): Promise<void> {
    const [sensitive, extractable] = await this.#read(session, handle, [CKA.SENSITIVE, CKA.EXTRACTABLE])
    if (sensitive[0] === 1 && extractable[0] === 0) return
    await this.#cryptoki.call('C_DestroyObject', session, handle)
    throw new Error(`The PKCS #11 token '${this.label}' makes keys that can be taken out of it: it can't be used.`)
  }
}

function privateAttributes(id: Buffer): Template {
  return [
    [CKA.TOKEN, true],
    [CKA.PRIVATE, true],
    [CKA.SENSITIVE, true],
    [CKA.EXTRACTABLE, false],
    [CKA.DECRYPT, true],
    [CKA.SIGN, true],
    [CKA.UNWRAP, false],
    [CKA.ID, id],
    [CKA.LABEL, Buffer.from(`ownkey-${id.toString('hex')}`)],
  ]
}

function decryptionMechanism(arena: Arena, decryption: Decryption): bigint {
  if (decryption.type === 'raw') return arena.mechanism(CKM.RSA_X_509)
  const [hash, mask] = MECHANISMS[decryption.hash]
  // CK_RSA_PKCS_OAEP_PARAMS with an empty label.
  return arena.mechanism(CKM.RSA_PKCS_OAEP, longs(hash, mask, CKZ_DATA_SPECIFIED, 0, 0))
}

function signingMechanism(arena: Arena, signing: Signing): bigint {
  if (signing.type === 'pkcs1') return arena.mechanism(CKM.RSA_PKCS)
  // CK_RSA_PKCS_PSS_PARAMS; the salt is as long as the digest (RFC 7518, 3.5).
  return arena.mechanism(CKM.RSA_PKCS_PSS, longs(...MECHANISMS[signing.hash]))
}

/** Whether the error means that the token lacks the mechanism, and not that it refuses the input. */
export function isUnsupported(error: unknown): boolean {
  return isReason(error, 'MECHANISM_INVALID', 'MECHANISM_PARAM_INVALID', 'ARGUMENTS_BAD', 'FUNCTION_NOT_SUPPORTED')
}

/** Without the zeros that some tokens put in front. */
function unsigned(number: Buffer): Buffer {
  const first = number.findIndex(byte => byte !== 0)
  return number.subarray(Math.max(first, 0))
}
