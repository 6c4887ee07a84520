import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { chmod, open, rename, rm, stat } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { systemEnv } from '../base/env.ts'
import { makeFolder } from '../base/make-folder.ts'
import { progressBar } from '../base/progress.ts'
import { UsageError } from '../base/usage-error.ts'
import { checkNames, checkEntry, digestOfFile, readFacts, type ModelEntry } from '../engines/models-file.ts'
import type { ModelFacts } from '../engines/model-facts.ts'
import type { RootKeys } from '../encryption/root-key.ts'
import { sealBase, type BaseKey } from '../encryption/sealed-base.ts'
import { rootKeysOf } from '../folder/stopped-folder.ts'
import { tryTemplate } from '../engines/try-template.ts'
import { exists, syncFolder } from '../store/atomic-file.ts'
import { checkSpace } from './fetch-file.ts'
import { fetchModel, isFetched, type FetchedModel } from './fetch-model.ts'
import { changeModels, incomingFolder, modelsFolder } from './models-folder.ts'

export interface NewModel {
  readonly dataDir: string
  /** A GGUF file, `hf:OWNER/REPO:QUANT`, an address, or a model that is known by name. */
  readonly source: string
  readonly name: string | undefined
  readonly aliases: readonly string[]
  readonly context: number | undefined
  /** Of its engine, as in models.yaml. */
  readonly threads?: number | undefined
  readonly gpuLayers?: ModelEntry['gpuLayers']
  readonly licence: string | undefined
  /** What the file's SHA-256 must be, in hexadecimal. */
  readonly sha256: string | undefined
  /** Whether to copy a file into the data folder. */
  readonly copy: boolean
  /** Whether that copy is sealed under the root key. */
  readonly seal: boolean
}

export interface AddedModel {
  readonly entry: ModelEntry
  readonly path: string
  readonly facts: ModelFacts
}

/**
 * Adds a base model to `models.yaml` of a data folder. Whatever happens on the way, nothing half-written has its final name.
 * @throws EngineFailure, UsageError, Error that says what to do; then nothing is changed
 */
export async function addBase(wanted: NewModel, signal: AbortSignal): Promise<AddedModel> {
  const { dataDir, aliases } = wanted
  return changeModels(dataDir, async ({ entries, write }) => {
    // What is refused anyway is not fetched for an hour before.
    checkNames(wanted.name === undefined ? aliases : [wanted.name, ...aliases], entries)
    if (wanted.seal && isFetched(wanted.source))
      throw new UsageError(
        'What is fetched lies on the disk in the clear: fetch the file elsewhere, and give its path.',
      )
    const keys = wanted.seal ? await rootKeysOf(dataDir) : undefined
    const fetched = await fetchModel(wanted.source, incomingFolder(dataDir), signal)
    try {
      const facts = readFacts(fetched.path)
      await tryTemplate(facts.template.source, facts.template)
      const name = wanted.name ?? nameOf(fetched.name)
      checkNames([name, ...aliases], entries)
      const licence = wanted.licence ?? fetched.licence ?? facts.licence
      if (licence === undefined)
        throw new Unlicensed(`${fetched.path} does not say its licence: give it with --licence, as an SPDX id.`)
      const file = await placed(fetched, name, { ...wanted, keys }, signal)
      const { context, threads, gpuLayers } = wanted
      const entry = checkEntry({
        name,
        ...file,
        licence,
        ...(context === undefined ? {} : { context }),
        ...(threads === undefined ? {} : { threads }),
        ...(gpuLayers === undefined ? {} : { gpuLayers }),
        aliases: [...aliases],
      })
      await write([...entries, entry]).catch(async (error: unknown) => {
        if (isOurs(wanted)) await rm(resolve(dataDir, entry.file), { force: true })
        throw error
      })
      return { entry, path: resolve(dataDir, entry.file), facts }
    } catch (error) {
      // What was fetched is of use for the next try where only a word about it lacked.
      if (fetched.isBrought && !(error instanceof Unlicensed) && !signal.aborted) await forget(fetched.path)
      throw error
    }
  })
}

class Unlicensed extends UsageError {}

const isOurs = ({ copy, seal, source }: NewModel): boolean => copy || seal || isFetched(source)

async function forget(path: string): Promise<void> {
  for (const each of [path, `${path}.json`]) await rm(each, { force: true })
}

/** Brings a file to where it stays. @throws Error where its SHA-256 is another one than was said, or the disk is full */
async function placed(
  { path, sha256: announced, isBrought }: FetchedModel,
  name: string,
  { dataDir, sha256: wanted, copy, keys }: NewModel & { readonly keys: RootKeys | undefined },
  signal: AbortSignal,
): Promise<Pick<ModelEntry, 'file' | 'sha256' | 'bytes' | 'modified' | 'sealed'>> {
  const before = await stat(path)
  const isCopied = keys !== undefined || (copy && !isBrought)
  const copied = isCopied ? await copyIn(path, incomingFolder(dataDir), keys, signal) : undefined
  const sha256 = copied?.sha256 ?? (await digestOfFile(path, signal))
  const now = copied?.path ?? path
  try {
    for (const [who, expected] of [
      ['you give', wanted?.toLowerCase()],
      ['its source says', announced],
    ] as const)
      if (expected !== undefined && expected !== sha256)
        throw new Error(`${path} is another file than it should be: its SHA-256 is\n${sha256}\nand ${who}\n${expected}`)
    const after = await stat(path)
    if (after.size !== before.size || after.mtimeMs !== before.mtimeMs)
      throw new Error(`${path} changes while it is read: add it when it is whole.`)
    const final =
      isBrought || copied !== undefined
        ? await takeIn(now, modelsFolder(dataDir), name, keys === undefined ? '.gguf' : '.sealed')
        : path
    const { size, mtimeMs } = await stat(final)
    const file = final === path ? path : `models/${final.slice(modelsFolder(dataDir).length + 1)}`
    const sealed = copied?.sealed
    return { file, sha256, bytes: size, modified: mtimeMs, ...(sealed === undefined ? {} : { sealed }) }
  } catch (error) {
    if (copied !== undefined) await rm(copied.path, { force: true })
    throw error
  }
}

/** Gives a whole, durable file a free name in our folder. */
async function takeIn(path: string, folder: string, name: string, ending: string): Promise<string> {
  let to = join(folder, `${name}${ending}`)
  for (let number = 2; await exists(to); number += 1) to = join(folder, `${name}-${number}${ending}`)
  // Ours can be read by its owner alone, as everything in the folder.
  await chmod(path, 0o600)
  await rename(path, to)
  await rm(`${path}.json`, { force: true })
  await syncFolder(folder)
  return to
}

/**
 * Copies a file to what is on its way, sealed where there are keys, and makes the SHA-256 of its plaintext meanwhile.
 * @throws Error; then nothing of it is left
 */
async function copyIn(path: string, into: string, keys: RootKeys | undefined, signal: AbortSignal): Promise<Copied> {
  await makeFolder(into)
  const { size } = await stat(path)
  await checkSpace(into, size)
  const to = join(into, 'copy')
  const [bar, digest] = [progressBar(), createHash('sha256')]
  let done = 0
  async function* bytes(): AsyncGenerator<Buffer> {
    for await (const chunk of createReadStream(path, { highWaterMark: 1024 * 1024, signal })) {
      const part = chunk as Buffer
      digest.update(part)
      yield part
      done += part.length
      bar.show(done, size, `${(done / 1e6).toFixed(0)} of ${(size / 1e6).toFixed(0)} MB`)
    }
  }
  try {
    const sealed = keys === undefined ? await writeWhole(bytes(), to) : await sealBase(bytes(), to, keys, systemEnv)
    return { path: to, sha256: digest.digest('hex'), sealed }
  } catch (error) {
    await rm(to, { force: true })
    signal.throwIfAborted()
    throw error
  } finally {
    bar.end()
  }
}

interface Copied {
  readonly path: string
  readonly sha256: string
  readonly sealed: BaseKey | undefined
}

async function writeWhole(bytes: AsyncIterable<Buffer>, to: string): Promise<undefined> {
  const file = await open(to, 'wx', 0o600)
  try {
    for await (const part of bytes) await file.writeFile(part)
    await file.sync()
  } finally {
    await file.close()
  }
}

/** The name of a file such as `SmolLM2-135M-Instruct.Q4_1.gguf` as a model's name. */
function nameOf(file: string): string {
  return file
    .replace(/\.gguf$/i, '')
    .toLowerCase()
    .replaceAll(/[^a-z0-9._]+/g, '-')
    .replaceAll(/^[^a-z0-9]+|[^a-z0-9]+$/g, '')
    .slice(0, 64)
}
