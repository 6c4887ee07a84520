import koffi from 'koffi'

/** prctl(2), seccomp(2), fcntl(2), capset(2) */
const PR_SET_NO_NEW_PRIVS = 38
const [SET_MODE_FILTER, FOR_ALL_THREADS] = [1, 1]
const F_SETFD = 2
const CAPABILITY_VERSION_3 = 0x2008_0522
/** CAP_DAC_READ_SEARCH */
const READ_ANY_FILE = 2

/** System calls of this thread. Linux alone has them. */
const NUMBERS = { x64: { seccomp: 317, capget: 125, capset: 126 }, arm64: { seccomp: 277, capget: 90, capset: 91 } }
const numbers = process.arch === 'x64' || process.arch === 'arm64' ? NUMBERS[process.arch] : undefined

/** A raw system call. Resolves errno as a negative result, as the kernel itself does. */
export function systemCall(number: number, ...args: (number | Buffer | null)[]): number {
  const call = koffi.load(null).func('long syscall(long number, ...)') as (...words: unknown[]) => number
  const typed = args.flatMap((value): unknown[] => (typeof value === 'number' ? ['long', value] : ['void *', value]))
  const result = call(number, ...typed)
  return result < 0 ? -koffi.errno() : result
}

/** From now on no program that this thread starts has more rights than it. False: the kernel refused. */
export function setNoNewPrivileges(): boolean {
  const prctl = koffi.load(null).func('int prctl(int option, ...)') as (...words: unknown[]) => number
  const zero = ['ulong', 0]
  return prctl(PR_SET_NO_NEW_PRIVS, 'ulong', 1, ...zero, ...zero, ...zero) === 0
}

/** Adds a filter of system calls. @param scope `all`: for threads too that are there already. False: the kernel refused */
export function addFilter(program: Buffer, scope: 'thread' | 'all'): boolean {
  if (numbers === undefined) return false
  // struct sock_fprog: u16 length, then a pointer.
  const description = Buffer.alloc(16)
  description.writeUInt16LE(program.length / 8, 0)
  description.writeBigUInt64LE(koffi.address(program), 8)
  const flags = scope === 'all' ? FOR_ALL_THREADS : 0
  return systemCall(numbers.seccomp, SET_MODE_FILTER, flags, description) === 0
}

/**
 * Gives up root's capabilities. @param keepsReading keeps the one to read files of others, which Landlock limits to what is named
 */
export function dropCapabilities(keepsReading: boolean): void {
  if (numbers === undefined) return
  const header = Buffer.alloc(8)
  header.writeUInt32LE(CAPABILITY_VERSION_3, 0)
  // For each half of the set: effective, permitted, inheritable.
  const data = Buffer.alloc(24)
  if (systemCall(numbers.capget, header, data) !== 0) return
  const kept = keepsReading ? data.readUInt32LE(4) & (1 << READ_ANY_FILE) : 0
  data.fill(0)
  data.writeUInt32LE(kept, 0)
  data.writeUInt32LE(kept, 4)
  systemCall(numbers.capset, header, data)
}

/** Node.js closes what it inherited in the program that it becomes, but for stdin, stdout and stderr. */
export function keepOpen(fd: number): void {
  const fcntl = koffi.load(null).func('int fcntl(int fd, int command, ...)') as (...words: unknown[]) => number
  fcntl(fd, F_SETFD, 'int', 0)
}
