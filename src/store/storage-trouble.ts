/** Why a write fails: the disk is full, read-only or failing, or too many files are open. */
export type StorageTrouble = 'full' | 'read-only' | 'failing' | 'out-of-files'

const OF_SYSTEM: Readonly<Record<string, StorageTrouble>> = {
  ENOSPC: 'full',
  EDQUOT: 'full',
  EFBIG: 'full',
  EROFS: 'read-only',
  EIO: 'failing',
  EMFILE: 'out-of-files',
  ENFILE: 'out-of-files',
}
/** Primary result codes: https://www.sqlite.org/rescode.html */
const OF_SQLITE: Readonly<Record<number, StorageTrouble>> = { 8: 'read-only', 10: 'failing', 13: 'full' }

/** The trouble that this error of the file system or of SQLite itself (not its cause) means; undefined for other errors. */
export function troubleOf(error: Error): StorageTrouble | undefined {
  const { code, errcode } = error as NodeJS.ErrnoException & { errcode?: number }
  return OF_SYSTEM[code ?? ''] ?? (code === 'ERR_SQLITE_ERROR' ? OF_SQLITE[(errcode ?? 0) & 0xff] : undefined)
}
