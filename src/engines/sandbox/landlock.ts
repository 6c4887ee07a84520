import { closeSync, fstatSync, openSync } from 'node:fs'
import { systemCall } from './kernel.ts'

/** System calls, the same on all processors: https://docs.kernel.org/userspace-api/landlock.html */
const [CREATE_RULESET, ADD_RULE, RESTRICT_SELF] = [444, 445, 446]
const [ASK_VERSION, PATH_BENEATH] = [1, 1]
const [O_PATH, O_CLOEXEC] = [0o10000000, 0o2000000]

/** LANDLOCK_ACCESS_FS_*, bits of `handled_access_fs`. */
const [EXECUTE, WRITE_FILE, READ_FILE, READ_DIR] = [1 << 0, 1 << 1, 1 << 2, 1 << 3]
const [TRUNCATE, IOCTL_DEV] = [1 << 14, 1 << 15]
/** What a rule for a file, rather than a folder, may have. */
const OF_FILES = EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE | IOCTL_DEV

/** What a process may do with files. Each path stands for all below it. What is not there is left out. */
export interface FileRights {
  readonly read: readonly string[]
  /** Programs to start. */
  readonly run: readonly string[]
  /** Devices to read, write and control. */
  readonly devices: readonly string[]
}

/** The version of the kernel's Landlock. Undefined: it has none, or none that may be used. */
export function landlockVersion(): number | undefined {
  const version = systemCall(CREATE_RULESET, null, 0, ASK_VERSION)
  return version > 0 ? version : undefined
}

/**
 * Lets this thread, and what it starts, do with files only what is named, and from version 4 on nothing with TCP, from 6 on nothing with
 * abstract sockets and signals of others. It can't be undone. Needs `no_new_privs`. False: the kernel refused
 */
export function restrictFiles(version: number, rights: FileRights): boolean {
  const handled = handledBy(version)
  const ruleset = Buffer.alloc(24)
  ruleset.writeBigUInt64LE(BigInt(handled), 0)
  if (version >= 4) ruleset.writeBigUInt64LE(0b11n, 8)
  if (version >= 6) ruleset.writeBigUInt64LE(0b11n, 16)
  const size = version >= 6 ? 24 : version >= 4 ? 16 : 8
  const fd = systemCall(CREATE_RULESET, ruleset, size, 0)
  if (fd < 0) return false
  try {
    for (const path of rights.read) allow(fd, path, (READ_FILE | READ_DIR) & handled)
    for (const path of rights.run) allow(fd, path, (READ_FILE | EXECUTE) & handled)
    for (const path of rights.devices) allow(fd, path, (READ_FILE | READ_DIR | WRITE_FILE | IOCTL_DEV) & handled)
    return systemCall(RESTRICT_SELF, fd, 0) === 0
  } finally {
    closeSync(fd)
  }
}

/** Every right that the version knows: all bits up to MAKE_SYM, then REFER, TRUNCATE, IOCTL_DEV. */
function handledBy(version: number): number {
  const count = 13 + (version >= 2 ? 1 : 0) + (version >= 3 ? 1 : 0) + (version >= 5 ? 1 : 0)
  return 2 ** count - 1
}

function allow(ruleset: number, path: string, access: number): void {
  let fd: number
  try {
    fd = openSync(path, O_PATH | O_CLOEXEC)
  } catch {
    return
  }
  try {
    // struct landlock_path_beneath_attr, packed.
    const rule = Buffer.alloc(12)
    rule.writeBigUInt64LE(BigInt(fstatSync(fd).isDirectory() ? access : access & OF_FILES), 0)
    rule.writeInt32LE(fd, 8)
    systemCall(ADD_RULE, ruleset, PATH_BENEATH, rule, 0)
  } finally {
    closeSync(fd)
  }
}
