const KINDS = ['', 'write', 'truncate', 'sync', 'create', 'rename', 'unlink', 'mkdir'] as const
const HEADER = 40

export interface DataRecord {
  readonly kind: 'write' | 'truncate'
  readonly inode: bigint
  /** Of a truncate: the new size. */
  readonly offset: number
  /** Of the file before. */
  readonly size: number
  readonly before: Buffer
  readonly after: Buffer
}

export interface FolderRecord {
  readonly kind: 'create' | 'rename' | 'unlink' | 'mkdir'
  /** Of the folder in which the name is. */
  readonly inode: bigint
  readonly path: string
  /** The former name, of a rename. */
  readonly from?: string
  /** The name in the journal's folder of what was replaced or removed. */
  readonly kept?: string
}

export type JournalRecord = DataRecord | FolderRecord | { readonly kind: 'sync'; readonly inode: bigint }

/** The records of power.c. A last record that a kill cut off is left out, since its call had not returned. */
export function readJournal(bytes: Buffer): JournalRecord[] {
  const records: JournalRecord[] = []
  for (let at = 0; at + HEADER <= bytes.length;) {
    const kind = KINDS[bytes.readUInt32LE(at)]
    const length = bytes.readUInt32LE(at + 4)
    const inode = bytes.readBigUInt64LE(at + 8)
    const [offset, size, after] = [16, 24, 32].map(place => Number(bytes.readBigUInt64LE(at + place))) as [
      number,
      number,
      number,
    ]
    const body = bytes.subarray(at + HEADER, at + HEADER + length)
    at += HEADER + length
    if (body.length < length) break
    if (kind === 'write' || kind === 'truncate')
      records.push({
        kind,
        inode,
        offset,
        size,
        before: body.subarray(0, length - after),
        after: body.subarray(length - after),
      })
    else if (kind === 'sync') records.push({ kind, inode })
    else if (kind !== undefined && kind !== '') records.push(folderRecord(kind, inode, body.toString()))
    else throw new Error(`A record of the power journal is of no kind, at byte ${at}.`)
  }
  return records
}

function folderRecord(kind: FolderRecord['kind'], inode: bigint, text: string): FolderRecord {
  const names = text.split('\0')
  const [path = '', second = '', third = ''] = names
  if (kind === 'rename') return { kind, inode, path: second, from: path, ...(third === '' ? {} : { kept: third }) }
  return { kind, inode, path, ...(kind === 'unlink' && second !== '' ? { kept: second } : {}) }
}
