import { closeSync, fstatSync, openSync, readSync } from 'node:fs'
import { EngineFailure } from './failures.ts'
import { GGML_TYPES, type GgmlType } from './ggml-types.ts'

/** https://github.com/ggml-org/ggml/blob/master/docs/gguf.md, version 3, little endian. */
export type GgufValue = number | boolean | string | readonly number[] | readonly string[]

export interface GgufTensor {
  readonly name: string
  /** ggml's order: the row length first. */
  readonly shape: readonly [number, number]
  readonly data: Float32Array
}

/** A tensor that is read from its file when it is asked for. */
export interface StoredTensor {
  readonly name: string
  readonly shape: readonly [number, number]
  /** ggml's type number. */
  readonly type: number
  /** As the file has it. @throws EngineFailure for one that is cut off or of a type that can't be read as F32 */
  readonly bytes: () => Buffer
  /** As F32. @throws EngineFailure as `bytes` */
  readonly values: () => Float32Array
}

/** A value with its GGUF type, where a plain number would not say which. */
export type GgufEntry =
  | { readonly key: string; readonly type: 'u32' | 'i32s'; readonly value: number | readonly number[] }
  | { readonly key: string; readonly type: 'f32'; readonly value: number }
  | { readonly key: string; readonly type: 'bool'; readonly value: boolean }
  | { readonly key: string; readonly type: 'string'; readonly value: string }
  | { readonly key: string; readonly type: 'strings'; readonly value: readonly string[] }

const ALIGNMENT = 32
const MAX_HEADER = 256 * 1024 * 1024
/** Linux reads at most 2 GiB at once. */
const READ_AT_ONCE = 1024 * 1024 * 1024
const TYPE = { u32: 4, i32: 5, f32: 6, bool: 7, string: 8, array: 9 } as const

/** A GGUF of F32 tensors. The same entries and tensors always give the same bytes. */
export function encodeGguf(entries: readonly GgufEntry[], tensors: readonly GgufTensor[]): Buffer {
  const parts: Buffer[] = [Buffer.from('GGUF'), u32(3), u64(tensors.length), u64(entries.length)]
  for (const entry of entries) parts.push(text(entry.key), ...encodeValue(entry))
  let offset = 0
  for (const { name, shape, data } of tensors) {
    const dims = shape[1] === 1 ? [shape[0]] : shape
    parts.push(text(name), u32(dims.length), ...dims.map(u64), u32(0), u64(offset))
    offset += aligned(data.byteLength)
  }
  const header = Buffer.concat(parts)
  parts.length = 0
  parts.push(header, Buffer.alloc(aligned(header.length) - header.length))
  for (const { data } of tensors) {
    parts.push(Buffer.from(data.buffer, data.byteOffset, data.byteLength))
    parts.push(Buffer.alloc(aligned(data.byteLength) - data.byteLength))
  }
  return Buffer.concat(parts)
}

function encodeValue(entry: GgufEntry): Buffer[] {
  switch (entry.type) {
    case 'u32':
      return [u32(TYPE.u32), u32(entry.value as number)]
    case 'i32s': {
      const values = entry.value as readonly number[]
      return [u32(TYPE.array), u32(TYPE.i32), u64(values.length), Buffer.from(Int32Array.from(values).buffer)]
    }
    case 'f32':
      return [u32(TYPE.f32), Buffer.from(Float32Array.of(entry.value).buffer)]
    case 'bool':
      return [u32(TYPE.bool), Buffer.of(entry.value ? 1 : 0)]
    case 'string':
      return [u32(TYPE.string), text(entry.value)]
    case 'strings':
    default:
      return [u32(TYPE.array), u32(TYPE.string), u64(entry.value.length), ...entry.value.map(text)]
  }
}

const aligned = (size: number): number => Math.ceil(size / ALIGNMENT) * ALIGNMENT

function u32(value: number): Buffer {
  const buffer = Buffer.alloc(4)
  buffer.writeUInt32LE(value)
  return buffer
}

function u64(value: number): Buffer {
  const buffer = Buffer.alloc(8)
  buffer.writeBigUInt64LE(BigInt(value))
  return buffer
}

function text(value: string): Buffer {
  const bytes = Buffer.from(value)
  return Buffer.concat([u64(bytes.length), bytes])
}

interface TensorPlace {
  /** ggml's order. */
  readonly dims: readonly number[]
  readonly type: number
  readonly offset: number
}

/** An open GGUF file: header parsed, tensors read one by one. */
export interface GgufFile {
  readonly metadata: ReadonlyMap<string, GgufValue>
  readonly names: readonly string[]
  /** Values of all tensors together. */
  readonly parameters: number
  /** The ggml types of its tensors, by number. */
  readonly types: readonly number[]
  /** @throws EngineFailure for a tensor that is missing, cut off or of a type that can't be read as F32 */
  tensor(name: string): GgufTensor
  /** @throws EngineFailure for a tensor that is missing or has more than two dimensions */
  stored(name: string): StoredTensor
  /** Whether the file reaches to the end of its last tensor. */
  readonly isWhole: boolean
  close(): void
}

/** Makes F32 of quantised blocks. @param name of the function in ggml */
export type Dequantize = (name: string, blocks: Buffer, into: Float32Array) => void

/** Opens a GGUF file. @param dequantize for tensors of quantised types other than Q8_0 @throws EngineFailure when it is not one */
export function openGguf(path: string, dequantize?: Dequantize): GgufFile {
  const file = openSync(path, 'r')
  try {
    const { size } = fstatSync(file)
    const header = Buffer.alloc(Math.min(size, MAX_HEADER))
    let filled = readSync(file, header, 0, Math.min(header.length, 4 * 1024 * 1024), 0)
    const cursor = new Cursor(header, wanted => {
      while (filled < wanted && filled < header.length) {
        filled += readSync(file, header, filled, Math.min(header.length - filled, 16 * 1024 * 1024), filled)
      }
      return filled >= wanted
    })
    const { metadata, places } = parseHeader(cursor)
    const alignment = Number(metadata.get('general.alignment') ?? ALIGNMENT)
    const start = Math.ceil(cursor.at / alignment) * alignment
    const stored = (name: string): StoredTensor => {
      const place = places.get(name)
      if (place === undefined) throw new EngineFailure(`the model has no tensor ${name}`)
      if (place.dims.length > 2)
        throw new EngineFailure(`tensor ${name} has ${place.dims.length} dimensions; training reads at most 2`)
      const shape = [place.dims[0] ?? 1, place.dims[1] ?? 1] as const
      const bytes = (): Buffer => readTensor(file, name, place, start)
      const values = (): Float32Array => decoded(name, place, bytes(), dequantize)
      return { name, shape, type: place.type, bytes, values }
    }
    const tensor = (name: string): GgufTensor => {
      const { shape, values } = stored(name)
      return { name, shape, data: values() }
    }
    const all = [...places.values()]
    const isWhole = all.every(place => start + place.offset + leastBytes(place) <= size)
    return {
      metadata,
      names: [...places.keys()],
      parameters: all.reduce((sum, place) => sum + valuesOf(place), 0),
      types: [...new Set(all.map(({ type }) => type))],
      tensor,
      stored,
      isWhole,
      close: () => closeSync(file),
    }
  } catch (error) {
    closeSync(file)
    throw error
  }
}

class Cursor {
  at = 0
  readonly #bytes: Buffer
  readonly #ensure: (wanted: number) => boolean

  constructor(bytes: Buffer, ensure: (wanted: number) => boolean) {
    this.#bytes = bytes
    this.#ensure = ensure
  }

  #take(length: number): number {
    const from = this.at
    if (length < 0 || !this.#ensure(from + length)) throw new EngineFailure('the model file is cut off or not a GGUF')
    this.at += length
    return from
  }

  bytes(length: number): Buffer {
    const from = this.#take(length)
    return this.#bytes.subarray(from, from + length)
  }
  u32 = (): number => this.bytes(4).readUInt32LE()
  u64 = (): number => Number(this.bytes(8).readBigUInt64LE())
  text = (): string => this.bytes(this.u64()).toString('utf8')
}

function parseHeader(cursor: Cursor): { metadata: Map<string, GgufValue>; places: Map<string, TensorPlace> } {
  if (cursor.bytes(4).toString('latin1') !== 'GGUF') throw new EngineFailure('the model file is not a GGUF')
  const version = cursor.u32()
  if (version !== 2 && version !== 3) throw new EngineFailure(`GGUF version ${version} is not supported`)
  const [tensors, entries] = [cursor.u64(), cursor.u64()]
  const metadata = new Map<string, GgufValue>()
  for (let index = 0; index < entries; index += 1) metadata.set(cursor.text(), readValue(cursor, cursor.u32()))
  const places = new Map<string, TensorPlace>()
  for (let index = 0; index < tensors; index += 1) {
    const name = cursor.text()
    const dims = Array.from({ length: Math.min(cursor.u32(), 5) }, () => cursor.u64())
    if (dims.length > 4) throw new EngineFailure(`tensor ${name} has more than 4 dimensions`)
    places.set(name, { dims, type: cursor.u32(), offset: cursor.u64() })
  }
  return { metadata, places }
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
  const read = scalars[inner]
  if (read === undefined) throw new EngineFailure(`the model file has a value of unknown type ${inner}`)
  if (type !== TYPE.array) return read()
  const length = cursor.u64()
  const values: unknown[] = []
  for (let index = 0; index < length; index += 1) values.push(read())
  return values as readonly number[] | readonly string[]
}

/** Decoders of the types that are read here, by ggml type number. */
const DECODERS: Readonly<Record<number, (bytes: Buffer, into: Float32Array) => void>> = {
  0: (bytes, into) => into.set(new Float32Array(bytes.buffer, bytes.byteOffset, into.length)),
  1: (bytes, into) => into.set(new Float16Array(bytes.buffer, bytes.byteOffset, into.length)),
  8: decodeQ8,
  30: decodeBf16,
}

function valuesOf({ dims }: TensorPlace): number {
  return dims.reduce((product, dim) => product * dim, 1)
}

/** Bytes of a tensor; 1 where its type is not known here. */
function leastBytes(place: TensorPlace): number {
  const { blockBytes, blockValues } = GGML_TYPES[place.type] ?? { blockBytes: 0, blockValues: 1 }
  return Math.max(1, (valuesOf(place) * blockBytes) / blockValues)
}

function decodeQ8(bytes: Buffer, into: Float32Array): void {
  for (let block = 0; block * 34 < bytes.length; block += 1) {
    const scale = new Float16Array(bytes.buffer.slice(bytes.byteOffset + block * 34, bytes.byteOffset + block * 34 + 2))
    for (let index = 0; index < 32; index += 1) {
      into[block * 32 + index] = (scale[0] as number) * bytes.readInt8(block * 34 + 2 + index)
    }
  }
}

function decodeBf16(bytes: Buffer, into: Float32Array): void {
  const bits = new Uint32Array(into.buffer, into.byteOffset, into.length)
  for (let index = 0; index < into.length; index += 1) bits[index] = (bytes.readUInt16LE(index * 2) << 16) >>> 0
}

function readTensor(file: number, name: string, place: TensorPlace, start: number): Buffer {
  const type = GGML_TYPES[place.type]
  if (type === undefined)
    throw new EngineFailure(`tensor ${name} has ggml type ${place.type}, which training can't read`)
  const bytes = Buffer.from(new ArrayBuffer((valuesOf(place) / type.blockValues) * type.blockBytes))
  for (let at = 0; at < bytes.length;) {
    const read = readSync(file, bytes, at, Math.min(bytes.length - at, READ_AT_ONCE), start + place.offset + at)
    if (read === 0) throw new EngineFailure(`tensor ${name} is cut off`)
    at += read
  }
  return bytes
}

function decoded(name: string, place: TensorPlace, bytes: Buffer, dequantize: Dequantize | undefined): Float32Array {
  const type = GGML_TYPES[place.type]
  const decode = DECODERS[place.type] ?? quantised(type, dequantize)
  if (decode === undefined)
    throw new EngineFailure(`tensor ${name} has ${type?.name ?? `ggml type ${place.type}`}, which training can't read`)
  const into = new Float32Array(valuesOf(place))
  decode(bytes, into)
  return into
}

function quantised(type: GgmlType | undefined, dequantize: Dequantize | undefined) {
  const name = type?.dequantize
  if (name === undefined || dequantize === undefined) return undefined
  return (bytes: Buffer, into: Float32Array): void => dequantize(name, bytes, into)
}
