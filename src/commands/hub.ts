import { z } from 'zod'
import { UsageError } from '../base/usage-error.ts'
import { ask, said, type RemoteFile } from './fetch-file.ts'

/** A file of a hub, with what the hub says of it. */
export interface HubFile extends RemoteFile {
  readonly sha256?: string | undefined
}

const DEFAULT_HUB = 'https://huggingface.co/'
const WAIT_MS = 30_000
const MAX_MANIFEST = 1024 * 1024

/** What llama.cpp reads of it: https://github.com/ggml-org/llama.cpp/pull/11195. */
const manifest = z.object({
  ggufFile: z.object({
    rfilename: z.string().min(1).max(1000),
    size: z.int().positive().optional(),
    lfs: z.object({ sha256: z.string().regex(/^[0-9a-f]{64}$/) }).optional(),
  }),
})

/**
 * Finds the file of `hf:OWNER/REPO:QUANT` (without QUANT what the hub chooses) or `hf:OWNER/REPO/PATH.gguf`.
 * @param env HF_ENDPOINT names another hub, and HF_TOKEN is shown to that hub alone @throws UsageError, Error that says what the hub answered
 */
export async function findAtHub(source: string, env: NodeJS.ProcessEnv, signal: AbortSignal): Promise<HubFile> {
  const [, owner, repo, quant, path] =
    /^hf:([\w.-]{1,96})\/([\w.-]{1,96})(?::([\w.-]{1,64})|\/(.{1,500}))?$/.exec(source) ?? []
  if (owner === undefined || repo === undefined)
    throw new UsageError(`${source}: it must be hf:OWNER/REPO:QUANT or hf:OWNER/REPO/FILE.gguf.`)
  const hub = hubOf(env)
  const token = env['HF_TOKEN'] ?? ''
  // An error about a header would quote it.
  if (!/^[!-~]*$/.test(token)) throw new UsageError('HF_TOKEN holds something else than a token.')
  const headers: Record<string, string> = token === '' ? {} : { authorization: `Bearer ${token}` }
  const at = (file: string): URL =>
    new URL(`${owner}/${repo}/resolve/main/${file.split('/').map(encodeURIComponent).join('/')}`, hub)
  if (path !== undefined) return { url: at(path), headers }
  const address = new URL(`v2/${owner}/${repo}/manifests/${quant ?? 'latest'}`, hub)
  // The hub names the file only to those that call themselves so.
  const asked = { url: address, headers: { ...headers, 'user-agent': 'llama-cpp' } }
  const patience = AbortSignal.any([signal, AbortSignal.timeout(WAIT_MS)])
  const response = await ask(asked, patience)
  if (response.status === 400 || response.status === 404) throw new Error(`The hub has no ${source}.`)
  if (!response.ok) throw new Error(said(response.status))
  const ggufFile = fileIn(await textOf(response))
  return { url: at(ggufFile.rfilename), headers, bytes: ggufFile.size, sha256: ggufFile.lfs?.sha256 }
}

/** @throws UsageError for a hub without https */
function hubOf(env: NodeJS.ProcessEnv): URL {
  const given = env['HF_ENDPOINT'] ?? ''
  const hub = given === '' ? DEFAULT_HUB : given.replace(/\/?$/, '/')
  if (!URL.canParse(hub) || new URL(hub).protocol !== 'https:')
    throw new UsageError('HF_ENDPOINT must be an https address.')
  return new URL(hub)
}

/** @throws Error */
function fileIn(text: string): z.infer<typeof manifest>['ggufFile'] {
  try {
    return manifest.parse(JSON.parse(text)).ggufFile
  } catch (error) {
    throw new Error('The hub did not say which file it is: name one, hf:OWNER/REPO/FILE.gguf.', { cause: error })
  }
}

async function textOf(response: Response): Promise<string> {
  let text = ''
  const decoder = new TextDecoder()
  for await (const bytes of response.body ?? []) {
    text += decoder.decode(bytes, { stream: true })
    if (text.length > MAX_MANIFEST) throw new Error('The hub answered with too much.')
  }
  return text
}
