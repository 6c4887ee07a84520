import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs'
import { EngineFailure } from './failures.ts'
import { GGML_TYPES, type GgmlType } from './ggml-types.ts'
import { ALIGNMENT, leastBytes, readHeader, TYPE, valuesOf, type GgufValue, type TensorPlace } from './gguf-header.ts'

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

/** Linux reads at most 2 GiB at once. */
const READ_AT_ONCE = 1024 * 1024 * 1024

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

/** An open GGUF file: header parsed, tensors read one by one. */
export interface GgufFile {
  readonly metadata: ReadonlyMap<string, GgufValue>
  readonly names: readonly string[]
  /** Values of all tensors together. */
  readonly parameters: number
  /** The ggml types of its tensors, by number; the type of most values first. */
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

/**
 * Opens a GGUF file. @param dequantize for tensors of quantised types other than Q8_0
 * @throws EngineFailure when it is not one, or its header can't be true; a file cut off within its tensors is opened
 */
export function openGguf(path: string, dequantize?: Dequantize): GgufFile {
  // Opening a FIFO would wait for its writer.
  const file = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK)
  try {
    const found = fstatSync(file)
    if (!found.isFile()) throw new EngineFailure('it is not a file')
    const { metadata, places, start } = readHeader(file, found.size)
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
    return {
      metadata,
      names: [...places.keys()],
      parameters: all.reduce((sum, place) => sum + valuesOf(place), 0),
      types: typesBySize(all),
      tensor,
      stored,
      isWhole: all.every(place => start + place.offset + leastBytes(place) <= found.size),
      close: () => closeSync(file),
    }
  } catch (error) {
    closeSync(file)
    throw error
  }
}

/** The type of most values first. */
function typesBySize(places: readonly TensorPlace[]): number[] {
  const values = new Map<number, number>()
  for (const place of places) values.set(place.type, (values.get(place.type) ?? 0) + valuesOf(place))
  return [...values].toSorted(([, a], [, b]) => b - a).map(([type]) => type)
}

/** Decoders of the types that are read here, by ggml type number. */
const DECODERS: Readonly<Record<number, (bytes: Buffer, into: Float32Array) => void>> = {
  0: (bytes, into) => into.set(new Float32Array(bytes.buffer, bytes.byteOffset, into.length)),
  1: (bytes, into) => into.set(new Float16Array(bytes.buffer, bytes.byteOffset, into.length)),
  8: decodeQ8,
  30: decodeBf16,
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
