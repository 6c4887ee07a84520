import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import { mac } from '../crypto/derive.ts'
import type { RootKeys } from '../encryption/root-key.ts'
import { hasCode, writeFileAtomically } from '../store/atomic-file.ts'

const FILE = 'backup.json'
/** The version of a backup's layout. An older program stops at a number that it does not know. */
const FORMAT = 1

const manifest = z.object({
  format: z.literal(FORMAT),
  /** The version of the program that made it. */
  program: z.string().max(64),
  madeAt: z.iso.datetime(),
  /** The folder with its records. */
  state: z.string().regex(/^state-[0-9A-Za-z-]{1,64}$/),
  /** An id of its root key, which tells nothing about the key itself. */
  keyId: z.string().max(64),
  withRootKey: z.boolean(),
  head: z.string().max(200),
  records: z.int(),
  blobs: z.int(),
  bytes: z.int(),
})

/** `backup.json` names the one complete state of a backup. It replaces the former one in a single step at the end. */
export type Manifest = z.infer<typeof manifest>

/** Undefined where it does not exist. @throws Error when it is damaged, or of a newer OwnKey */
export async function readManifest(target: string): Promise<Manifest | undefined> {
  const path = join(target, FILE)
  const text = await readFile(path, 'utf8').catch((error: unknown) => {
    if (hasCode(error, 'ENOENT')) return undefined
    throw error
  })
  if (text === undefined) return undefined
  const parsed = parsedJson(text)
  const format = Number((parsed as { format?: unknown } | undefined)?.format)
  if (format > FORMAT)
    throw new Error(
      `The backup in ${target} was made by a newer OwnKey (format ${format}, this one knows ${FORMAT}): use that one.`,
    )
  const { data } = manifest.safeParse(parsed)
  if (data === undefined) throw new Error(`${path} is damaged: take another copy of this backup, or an older one.`)
  return data
}

export async function writeManifest(target: string, content: Omit<Manifest, 'format'>): Promise<void> {
  await writeFileAtomically(join(target, FILE), `${JSON.stringify({ format: FORMAT, ...content }, null, 2)}\n`)
}

/** An id that tells root keys apart. */
export function keyIdOf({ mac: key }: Pick<RootKeys, 'mac'>): string {
  return mac(key, 'backup', 'which root key').toString('hex').slice(0, 16)
}

function parsedJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
