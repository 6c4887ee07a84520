import { getSystemErrorMap } from 'node:util'

/** What the operating system's refusals mean to people, and what to do. */
const REASONS: Readonly<Record<string, (path: string) => string>> = {
  ENOENT: path => `There is no ${path}.`,
  EACCES: path => `This user may not use ${path}: check its owner and mode, or choose another.`,
  EPERM: path => `This user may not change ${path}: check its owner and mode, or choose another.`,
  ENOTDIR: path => `${path} leads through a file where a folder must be.`,
  EISDIR: path => `${path} is a folder where a file must be.`,
  EEXIST: path => `${path} is there already, and is not what it must be.`,
  ENOTEMPTY: path => `${path} is not empty.`,
  EROFS: path => `${path} lies on a file system that can't be written to.`,
  ENOSPC: path => `The disk of ${path} is full.`,
  EDQUOT: path => `This user's share of the disk of ${path} is full.`,
  ELOOP: path => `${path} is a link that leads to itself.`,
  ENAMETOOLONG: () => 'A name or path is too long for this file system.',
  EMFILE: () => 'This process may not open more files: raise its limit (ulimit -n).',
  ENFILE: () => 'This machine has no open files left.',
  EIO: path => `The disk of ${path} does not work as it should.`,
  ECONNREFUSED: () => 'Nothing listens there.',
  ECONNRESET: () => 'The connection was cut off.',
  ETIMEDOUT: () => 'No answer came in time.',
  ENOTFOUND: () => 'That name does not resolve.',
}

/** What an error says, in words for people: never `ENOENT: no such file or directory, open '…'`. */
export function plainError(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  const { code, errno, path, dest, cause } = error as NodeJS.ErrnoException & { dest?: string }
  const reason = code === undefined ? undefined : REASONS[code]
  if (error.message === 'fetch failed' && cause !== undefined) return plainError(cause)
  if (reason !== undefined) return reason(path ?? dest ?? 'the file')
  const known = errno === undefined ? undefined : getSystemErrorMap().get(errno)
  if (known !== undefined) return `${path ?? 'The system'}: ${known[1]}.`
  return error.message
}
