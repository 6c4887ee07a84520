import { createHash } from 'node:crypto'
import { open, readFile, rm, stat, statfs, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { makeFolder } from '../base/make-folder.ts'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Progress } from '../base/progress.ts'

/** A file on a server. */
export interface RemoteFile {
  readonly url: URL
  /** For the first host alone: what is sent to one that it redirects to is not its own. */
  readonly headers: Readonly<Record<string, string>>
  /** Bytes, where they are known before. */
  readonly bytes?: number | undefined
}

export interface FetchedFile {
  readonly path: string
  /** What the server said the SHA-256 is: a hub's `X-Linked-ETag`. */
  readonly sha256: string | undefined
}

/** No GGUF has more bytes. */
const MOST_BYTES = 4 * 1024 ** 4
const REDIRECTS = 10
/** A server that is silent for so long is asked again. */
const SILENT_MS = 30_000
const TRIES = 5
const PAUSE_MS = 1000
/** Kept free for the records of a cloud. */
const SPARE = 64 * 1024 * 1024

/** Why a fetch can't succeed, also when it is tried again. */
class Refused extends Error {}

/**
 * Fetches a file over https, and goes on where an earlier fetch of it was cut off. Every redirect must be https too.
 * @param into a folder for what is on its way @throws Error that says why; what came stays for the next time, unless it can't be of use
 */
export async function fetchFile(
  file: RemoteFile,
  into: string,
  how: { progress: Progress; signal: AbortSignal },
): Promise<FetchedFile> {
  await makeFolder(into)
  const path = join(into, `${createHash('sha256').update(file.url.href).digest('hex').slice(0, 16)}.part`)
  for (let tries = 1; ; tries += 1) {
    const before = await sizeOf(path)
    try {
      return { path, sha256: await fetchOnce(file, path, how) }
    } catch (error) {
      how.signal.throwIfAborted()
      const gotOn = (await sizeOf(path)) > before
      // A server that gives a little each time is asked on.
      if (gotOn) tries = 0
      if (error instanceof Refused || tries >= TRIES || isFull(error)) throw error
      if (!gotOn) await sleep(tries * PAUSE_MS, undefined, { signal: how.signal })
    }
  }
}

const sizeOf = async (path: string): Promise<number> => (await stat(path).catch(() => undefined))?.size ?? 0
const isFull = (error: unknown): boolean => error instanceof Error && 'code' in error && error.code === 'ENOSPC'

async function fetchOnce(file: RemoteFile, path: string, how: { progress: Progress; signal: AbortSignal }) {
  const mark = `${path}.json`
  const begun = await readFile(mark, 'utf8').catch(() => '')
  const from = begun === '' ? 0 : await sizeOf(path)
  const silence = new Silence(how.signal)
  try {
    return await fetchFrom(file, { path, mark, begun, from, silence, progress: how.progress })
  } finally {
    silence.end()
  }
}

/** Aborts what waits for a server that is silent. */
class Silence {
  readonly signal: AbortSignal
  readonly #timer: NodeJS.Timeout

  constructor(outer: AbortSignal) {
    const controller = new AbortController()
    this.signal = AbortSignal.any([outer, controller.signal])
    this.#timer = setTimeout(() => controller.abort(new Error('The server is silent.')), SILENT_MS)
  }

  broken = (): void => void this.#timer.refresh()
  end = (): void => clearTimeout(this.#timer)
}

interface Begun {
  readonly path: string
  /** Where the validator of what is begun is kept. */
  readonly mark: string
  readonly begun: string
  /** Bytes that are there. */
  readonly from: number
  readonly silence: Silence
  readonly progress: Progress
}

async function fetchFrom(file: RemoteFile, { path, mark, begun, from, silence, progress }: Begun) {
  const range: Record<string, string> = from === 0 ? {} : { range: `bytes=${from}-`, 'if-range': begun }
  const { response, sha256 } = await follow(file, range, silence)
  const total = totalOf(response, from, file.bytes)
  const isWhole = response.status === 416 && total === from
  if (isWhole) return sha256
  if (response.status !== 200 && response.status !== 206) {
    await response.body?.cancel()
    if (response.status === 416) await rm(path, { force: true })
    throw new (response.status >= 500 || response.status === 429 || response.status === 416 ? Error : Refused)(
      said(response.status),
    )
  }
  const at = response.status === 206 ? from : 0
  if (at === 0) await rm(path, { force: true })
  // Without a strong validator nobody knows whether the rest belongs to the same file.
  const etag = response.headers.get('etag') ?? ''
  if (at === 0) await (etag.startsWith('"') ? writeFile(mark, etag, { mode: 0o600 }) : rm(mark, { force: true }))
  await checkSpace(dirname(path), total - at)
  await write(response, { path, at, total, silence, progress })
  return sha256
}

/** Asks for something small, such as what a hub says of a file. Every redirect must be https. @throws Error; the caller reads the body at once */
export async function ask(file: RemoteFile, signal: AbortSignal): Promise<Response> {
  const silence = new Silence(signal)
  const { response } = await follow(file, {}, silence).finally(() => silence.end())
  return response
}

/** Follows redirects itself, since `fetch` would follow one to plain http. */
async function follow(file: RemoteFile, range: Readonly<Record<string, string>>, silence: Silence) {
  let { url } = file
  let sha256: string | undefined
  for (let hop = 0; hop <= REDIRECTS; hop += 1) {
    if (url.protocol !== 'https:')
      throw new Refused(
        `It leads to ${shown(url)}: a model is fetched over https, so that nobody changes it on the way.`,
      )
    const own = url.origin === file.url.origin ? file.headers : {}
    const headers = { 'accept-encoding': 'identity', 'user-agent': 'ownkey', ...own, ...range }
    const response = await fetch(url, { headers, redirect: 'manual', signal: silence.signal })
    silence.broken()
    // https://huggingface.co/docs/hub: the digest of a file that is kept elsewhere.
    if (url.origin === file.url.origin)
      sha256 ??= /^"?([0-9a-f]{64})"?$/.exec(response.headers.get('x-linked-etag') ?? '')?.[1]
    const location = response.headers.get('location')
    if (response.status < 300 || response.status >= 400 || location === null) return { response, sha256 }
    await response.body?.cancel()
    if (!URL.canParse(location, url.href)) throw new Refused('It leads to something that is not an address.')
    url = new URL(location, url)
  }
  throw new Refused(`It leads on more than ${REDIRECTS} times.`)
}

/** Bytes of the whole file. @throws Refused where the server does not say them, or they differ from what is known */
function totalOf(response: Response, from: number, known: number | undefined): number {
  if (response.status !== 200 && response.status !== 206 && response.status !== 416) return 0
  const length = response.headers.get('content-length')
  const range = /^bytes (?:(\d{1,16})-\d{1,16}|\*)\/(\d{1,16})$/.exec(response.headers.get('content-range') ?? '')
  if (response.status === 206 && Number(range?.[1] ?? -1) !== from)
    throw new Refused('The server sent another part than was asked for.')
  const total = Number(response.status === 200 ? (length ?? Number.NaN) : (range?.[2] ?? Number.NaN))
  if (!Number.isSafeInteger(total) || total === 0)
    throw new Refused('The server does not say how many bytes the file has, so it might never end.')
  if (total > MOST_BYTES) throw new Refused(`The server says that the file has ${total} bytes.`)
  if (known !== undefined && known !== total)
    throw new Refused(`The file has ${total} bytes, and ${known} were announced.`)
  return total
}

/** @throws Refused where the disk has no room for so many bytes more */
export async function checkSpace(folder: string, bytes: number): Promise<void> {
  const { bavail, bsize } = await statfs(folder)
  const megabytes = (count: number): string => `${Math.floor(count / 1e6).toLocaleString('en')} MB`
  if (bytes + SPARE > bavail * bsize)
    throw new Refused(
      `The disk of ${folder} has ${megabytes(bavail * bsize)} left, and it takes ${megabytes(bytes + SPARE)}.`,
    )
}

interface Writing {
  readonly path: string
  readonly at: number
  readonly total: number
  readonly silence: Silence
  readonly progress: Progress
}

async function write(response: Response, { path, at, total, silence, progress }: Writing): Promise<void> {
  const file = await open(path, at === 0 ? 'w' : 'r+', 0o600)
  let done = at
  try {
    for await (const bytes of response.body ?? []) {
      silence.broken()
      if (done + bytes.length > total) {
        await rm(path, { force: true })
        throw new Refused('The server sent more bytes than it said.')
      }
      await file.write(bytes, 0, bytes.length, done)
      done += bytes.length
      progress.show(done, total, `${(done / 1e6).toFixed(0)} of ${(total / 1e6).toFixed(0)} MB`)
    }
    if (done < total) throw new Error(`The connection was cut off after ${done} of ${total} bytes.`)
    await file.sync()
  } finally {
    await file.close()
  }
}

const MEANING: Readonly<Record<number, string>> = {
  401: 'It wants a token: set HF_TOKEN, where it is a hub.',
  403: 'It is not for whoever asks: accept its terms at the hub, and set HF_TOKEN.',
  404: 'There is no such file.',
}

export function said(status: number): string {
  return MEANING[status] ?? `The server answered with ${status}.`
}

/** An address for people: what may be secret in it is left out. */
export function shown(url: URL): string {
  return `${url.protocol}//${url.host}${url.pathname}`
}
