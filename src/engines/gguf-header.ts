import { readSync } from 'node:fs'
import { EngineFailure } from './failures.ts'
import { GGML_TYPES } from './ggml-types.ts'

/** https://github.com/ggml-org/ggml/blob/master/docs/gguf.md, version 3, little endian. */
export type GgufValue = number | boolean | string | readonly number[] | readonly string[]

export const ALIGNMENT = 32
export const TYPE = { u32: 4, i32: 5, f32: 6, bool: 7, string: 8, array: 9 } as const

/** Bytes. The largest vocabularies of 2026 take 20 MB. */
export const MAX_HEADER = 256 * 1024 * 1024
/** Tensors, and entries. The largest models of 2026 have 3,000 and 100. */
const MAX_COUNT = 65_536
/** Values of all arrays together: tokens, scores, types and merges of the largest vocabularies are 1.3 million. */
const MAX_VALUES = 4 * 1024 * 1024
/** Bytes of a key or of a tensor's name. */
const MAX_NAME = 256
const MAX_ALIGNMENT = 1024 * 1024

/** Where a tensor lies. */
export interface TensorPlace {
  /** ggml's order. */
  readonly dims: readonly number[]
  readonly type: number
  /** From the end of the header. */
  readonly offset: number
}

export interface GgufHeader {
  readonly metadata: ReadonlyMap<string, GgufValue>
  readonly places: ReadonlyMap<string, TensorPlace>
  /** Where the tensors begin. */
  readonly start: number
}

/** Values of a tensor. */
export function valuesOf({ dims }: TensorPlace): number {
  return dims.reduce((product, dim) => product * dim, 1)
}

/** Bytes of a tensor; where its type is not known here, a bit for each value, which is less than any type takes. */
export function leastBytes(place: TensorPlace): number {
  const { blockBytes, blockValues } = GGML_TYPES[place.type] ?? { blockBytes: 1, blockValues: 8 }
  return (valuesOf(place) * blockBytes) / blockValues
}

/**
 * Reads the header of an open file of this many bytes. What it reads and keeps is bounded, whatever the header says.
 * @throws EngineFailure for what is not a GGUF, is cut off within its header, or says what can't be true
 */
export function readHeader(file: number, size: number): GgufHeader {
  const header = Buffer.alloc(Math.min(size, MAX_HEADER))
  let filled = 0
  const cursor = new Cursor(header, wanted => {
    if (wanted > header.length) {
      const isLong = header.length < size
      throw new EngineFailure(
        isLong ? 'the header of the model file has more than 256 MB' : 'the model file is cut off or not a GGUF',
      )
    }
    while (filled < wanted) {
      const read = readSync(file, header, filled, Math.min(header.length - filled, 4 * 1024 * 1024), filled)
      if (read === 0) throw new EngineFailure('the model file is cut off or not a GGUF')
      filled += read
    }
  })
  const { metadata, places } = parse(cursor)
  const alignment = metadata.get('general.alignment') ?? ALIGNMENT
  const isAlignment =
    typeof alignment === 'number' && alignment <= MAX_ALIGNMENT && Number.isInteger(Math.log2(alignment))
  if (!isAlignment) throw new EngineFailure('general.alignment of the model file is not a power of two up to 1 MiB')
  for (const [name, { offset }] of places)
    if (offset % alignment !== 0)
      throw new EngineFailure(`tensor ${printable(name)} does not lie at a multiple of ${alignment}`)
  return { metadata, places, start: Math.ceil(cursor.at / alignment) * alignment }
}

/** Text of a file's maker on one line of a terminal: without control characters, and not long. */
export function printable(text: string, most = 80): string {
  return text
    .replaceAll(/[\p{C}\p{Z}]+/gu, ' ')
    .trim()
    .slice(0, most)
}

class Cursor {
  at = 0
  /** Values of arrays that may still come. */
  values = MAX_VALUES
  readonly #bytes: Buffer
  readonly #ensure: (wanted: number) => void

  constructor(bytes: Buffer, ensure: (wanted: number) => void) {
    this.#bytes = bytes
    this.#ensure = ensure
  }

  bytes(length: number): Buffer {
    const from = this.at
    this.#ensure(from + length)
    this.at += length
    return this.#bytes.subarray(from, from + length)
  }
  u32 = (): number => this.bytes(4).readUInt32LE()
  u64 = (): number => Number(this.bytes(8).readBigUInt64LE())
  text = (): string => this.bytes(this.u64()).toString('utf8')

  name(what: string): string {
    const length = this.u64()
    if (length > MAX_NAME) throw new EngineFailure(`${what} of the model file has more than ${MAX_NAME} bytes`)
    return this.bytes(length).toString('utf8')
  }

  count(what: string): number {
    const count = this.u64()
    if (count > MAX_COUNT) throw new EngineFailure(`the model file says that it has more than ${MAX_COUNT} ${what}`)
    return count
  }
}

function parse(cursor: Cursor): { metadata: Map<string, GgufValue>; places: Map<string, TensorPlace> } {
  if (cursor.bytes(4).toString('latin1') !== 'GGUF') throw new EngineFailure('the model file is not a GGUF')
  const version = cursor.u32()
  // GGUF files of big-endian machines: only the version tells.
  if (version === 0x02_00_00_00 || version === 0x03_00_00_00)
    throw new EngineFailure('the model file has the other byte order')
  if (version !== 2 && version !== 3) throw new EngineFailure(`GGUF version ${version} is not supported`)
  const [tensors, entries] = [cursor.count('tensors'), cursor.count('entries')]
  const metadata = new Map<string, GgufValue>()
  for (let index = 0; index < entries; index += 1) {
    const key = cursor.name('a key')
    if (metadata.has(key)) throw new EngineFailure(`the model file has ${printable(key)} twice`)
    metadata.set(key, readValue(cursor, cursor.u32()))
  }
  const places = new Map<string, TensorPlace>()
  for (let index = 0; index < tensors; index += 1) {
    const name = cursor.name('a name of a tensor')
    if (places.has(name)) throw new EngineFailure(`the model file has the tensor ${printable(name)} twice`)
    places.set(name, readPlace(cursor, printable(name)))
  }
  return { metadata, places }
}

function readPlace(cursor: Cursor, name: string): TensorPlace {
  const count = cursor.u32()
  if (count > 4) throw new EngineFailure(`tensor ${name} has more than 4 dimensions`)
  const dims = Array.from({ length: count }, cursor.u64)
  const place = { dims, type: cursor.u32(), offset: cursor.u64() }
  const { blockValues } = GGML_TYPES[place.type] ?? { blockValues: 1 }
  const values = valuesOf(place)
  if (values === 0 || !Number.isSafeInteger(values) || !Number.isSafeInteger(place.offset))
    throw new EngineFailure(`tensor ${name} has a size or place that can't be true`)
  if ((dims[0] ?? 1) % blockValues !== 0)
    throw new EngineFailure(`tensor ${name} has rows of ${dims[0]} values; its type has blocks of ${blockValues}`)
  return place
}

function readValue(cursor: Cursor, type: number): GgufValue {
  const scalars: Readonly<Record<number, () => number | boolean | string>> = {
    0: () => cursor.bytes(1).readUInt8(),
    1: () => cursor.bytes(1).readInt8(),
    2: () => cursor.bytes(2).readUInt16LE(),
    3: () => cursor.bytes(2).readInt16LE(),
    4: cursor.u32,
    5: () => cursor.bytes(4).readInt32LE(),
    6: () => cursor.bytes(4).readFloatLE(),
    7: () => cursor.bytes(1).readUInt8() !== 0,
    8: cursor.text,
    10: cursor.u64,
    11: () => Number(cursor.bytes(8).readBigInt64LE()),
    12: () => cursor.bytes(8).readDoubleLE(),
  }
  const inner = type === TYPE.array ? cursor.u32() : type
  if (type === TYPE.array && inner === TYPE.array) throw new EngineFailure('the model file has arrays within arrays')
  const read = scalars[inner]
  if (read === undefined) throw new EngineFailure(`the model file has a value of unknown type ${inner}`)
  if (type !== TYPE.array) return read()
  const length = cursor.u64()
  cursor.values -= length
  if (cursor.values < 0) throw new EngineFailure(`the model file has arrays of more than ${MAX_VALUES} values`)
  return Array.from({ length }, read) as readonly number[] | readonly string[]
}
