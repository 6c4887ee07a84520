import { blobsOfAccount, isOwnBlob, type BlobRecord, type DataKind } from '../encryption/blob-records.ts'
import type { KeyRing } from '../encryption/key-ring.ts'
import { AzureError } from '../http/errors.ts'
import { everyRecord } from '../store/every-record.ts'
import { RecordTampered } from '../store/records.ts'
import { copyKindOf, deployments, isOwnDeployment } from './deployment.ts'

/** A record that names a blob. */
export interface BlobReference {
  /** For a sentence: `the file file-1`. */
  readonly what: string
  /** Whether its id fits its value. */
  readonly isOwn: boolean
  readonly blobId?: string
  readonly kinds?: readonly DataKind[]
  /** Plaintext bytes. */
  readonly size?: number
}

export interface ContradictionsOptions {
  readonly ring: KeyRing
  /** What modules above this one know about blobs. */
  readonly references: (accountId: string) => AsyncIterable<BlobReference>
}

/**
 * Contradictions between the records of an account: settings, key ring, blobs, and what names blobs. Everything is looked at
 * twice, since a change in between is not a contradiction.
 */
export async function contradictions(options: ContradictionsOptions, accountId: string): Promise<string[]> {
  const first = await look(options, accountId)
  if (first.length === 0) return []
  const second = new Set(await look(options, accountId))
  return first.filter(one => second.has(one))
}

async function look({ ring, references }: ContradictionsOptions, accountId: string): Promise<string[]> {
  const found: string[] = []
  await ring.read(accountId).catch((error: unknown) => {
    if (!(error instanceof AzureError)) throw error
    found.push(error.message)
  })
  const generations = await ring.generations(accountId)
  const blobs = new Map<string, BlobRecord>()
  for await (const { id, value } of blobsOfAccount(ring.records, accountId)) {
    const { blobId, kind, generation } = value
    blobs.set(blobId, value)
    if (!isOwnBlob({ id, value }, accountId)) found.push(`the record of the blob ${blobId} names another owner or id`)
    if ((kind === 'deployment') !== (generation === 0))
      found.push(`the blob ${blobId} is ${kind} of generation ${generation}`)
    if (generation !== 0 && !generations.has(generation))
      found.push(`the blob ${blobId} is of generation ${generation}, of which there is no data key`)
  }
  const named = new Set<string>()
  try {
    for await (const reference of both(ring, references, accountId)) {
      if (reference.blobId !== undefined) named.add(reference.blobId)
      found.push(...faultsOf(reference, blobs))
    }
  } catch (error) {
    if (!(error instanceof RecordTampered)) throw error
    // The record was changed, so it is not known which blobs the rest names.
    return [...found, `the record ${error.collection} ${error.id} was changed outside this service`]
  }
  for (const blobId of blobs.keys())
    if (!named.has(blobId)) found.push(`the blob ${blobId} belongs to no file, model, checkpoint or deployment`)
  return found
}

function faultsOf(
  { what, isOwn, blobId, kinds, size }: BlobReference,
  blobs: ReadonlyMap<string, BlobRecord>,
): string[] {
  if (!isOwn) return [`the record of ${what} names another owner or id than its own`]
  if (blobId === undefined) return []
  const blob = blobs.get(blobId)
  if (blob === undefined) return [`${what} names the blob ${blobId}, which is not there`]
  return [
    ...(kinds?.includes(blob.kind) === false ? [`${what} names the blob ${blobId}, which is ${blob.kind}`] : []),
    ...(size === undefined || size === blob.size ? [] : [`${what} has ${size} bytes, its blob ${blob.size}`]),
  ]
}

async function* both(
  ring: KeyRing,
  references: ContradictionsOptions['references'],
  accountId: string,
): AsyncGenerator<BlobReference> {
  for await (const stored of everyRecord(ring.records, deployments, { prefix: `${accountId}/` })) {
    const { name, blobId } = stored.value
    const what = `the deployment ${name}`
    const copy = blobId === undefined ? {} : { blobId, kinds: [copyKindOf(stored.value)] }
    yield { what, isOwn: isOwnDeployment(stored, accountId), ...copy }
  }
  yield* references(accountId)
}
