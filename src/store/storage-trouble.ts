/** What a disk refuses: it is full, may not be written, or fails; or the process, or the machine, has too many files open. */
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

/** What this very error of a call to the file system, or of SQLite, says; undefined when it is something else. */
export function troubleOf(error: Error): StorageTrouble | undefined {
  const { code, errcode } = error as NodeJS.ErrnoException & { errcode?: number }
  return OF_SYSTEM[code ?? ''] ?? (code === 'ERR_SQLITE_ERROR' ? OF_SQLITE[(errcode ?? 0) & 0xff] : undefined)
}
