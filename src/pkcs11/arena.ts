import koffi from 'koffi'

const LONG = 8
const ATTRIBUTE = 3 * LONG

/** An attribute's value: bytes, a number (CK_ULONG) or a truth (CK_BBOOL). */
export type AttributeValue = Uint8Array | number | boolean
export type Template = readonly (readonly [type: number, value: AttributeValue])[]

/** Native memory for one call. It does not move while a thread works, and is wiped when the call is over. */
export interface Arena {
  /** Memory of so many bytes, all zero. */
  room(bytes: number): bigint
  bytes(value: Uint8Array): bigint
  long(value: number): bigint
  /** CK_ATTRIBUTE[] */
  template(attributes: Template): bigint
  /** CK_MECHANISM */
  mechanism(type: number, parameter?: Uint8Array): bigint
  read(address: bigint, length: number): Buffer
  readLong(address: bigint): number
}

/** Runs a call with an arena of its own. */
export async function withArena<T>(run: (arena: Arena) => Promise<T>): Promise<T> {
  const blocks: [bigint, number][] = []
  try {
    return await run(arenaOf(blocks))
  } finally {
    for (const [address, length] of blocks) {
      koffi.encode(address, 'uint8_t', Buffer.alloc(length), length)
      koffi.free(address)
    }
  }
}

function arenaOf(blocks: [bigint, number][]): Arena {
  const write = (value: Uint8Array): bigint => {
    const length = Math.max(value.length, 1)
    const address = koffi.alloc('uint8_t', length) as bigint
    blocks.push([address, length])
    koffi.encode(address, 'uint8_t', value.length === 0 ? Buffer.alloc(1) : value, length)
    return address
  }
  return {
    room: length => write(Buffer.alloc(length)),
    bytes: write,
    long: value => write(longs(value)),
    template(attributes) {
      const table = attributes.map(([type, value]) => {
        const encoded = encodeValue(value)
        return longs(type, write(encoded), encoded.length)
      })
      return write(Buffer.concat(table))
    },
    mechanism(type, parameter) {
      if (parameter === undefined) return write(longs(type, 0, 0))
      return write(longs(type, write(parameter), parameter.length))
    },
    read: (address, length) => Buffer.from(koffi.decode(address, 'uint8_t', length) as Uint8Array),
    readLong: address => Number(koffi.decode(address, 'uint64_t')),
  }
}

/** CK_ULONG in the machine's order: PKCS #11 modules run on 64-bit little-endian machines here. */
export function longs(...values: readonly (number | bigint)[]): Buffer {
  const buffer = Buffer.alloc(values.length * LONG)
  values.forEach((value, index) => buffer.writeBigUInt64LE(BigInt(value), index * LONG))
  return buffer
}

function encodeValue(value: AttributeValue): Uint8Array {
  if (typeof value === 'boolean') return Buffer.of(value ? 1 : 0)
  return typeof value === 'number' ? longs(value) : value
}

export { ATTRIBUTE as attributeBytes, LONG as longBytes }
