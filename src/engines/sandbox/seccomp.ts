import { callsOf, LAST_CALL, type CallGroup, type Processor } from './system-calls.ts'

/** Instructions and answers: linux/filter.h, linux/seccomp.h. */
const [LOAD, JUMP_IF_EQUAL, JUMP_IF_GREATER, JUMP_IF_ANY_BIT, RETURN] = [0x20, 0x15, 0x25, 0x45, 0x06]
const [KILL_PROCESS, ALLOW, REFUSE] = [0x8000_0000, 0x7fff_0000, 0x0005_0000]
/** Where `struct seccomp_data` has the number, the processor and the low half of argument 0. */
const [NUMBER, ARCHITECTURE, ARGUMENTS] = [0, 4, 16]
/** AUDIT_ARCH_X86_64, AUDIT_ARCH_AARCH64 */
const ARCHITECTURES: Readonly<Record<Processor, number>> = { x64: 0xc000_003e, arm64: 0xc000_00b7 }
const [EPERM, EACCES, ENOSYS] = [1, 13, 38]

const CLONE_THREAD = 0x10000
/** O_WRONLY, O_RDWR, O_CREAT, O_TRUNC */
const WRITING = 0o1 | 0o2 | 0o100 | 0o1000
/** TIOCSTI, TIOCLINUX: to type into a terminal. */
const TYPING = [0x5412, 0x541c]

/** `code`, jumps if true and if false, operand. */
type Instruction = readonly [code: number, jumpTrue: number, jumpFalse: number, operand: number]

const refuse = (errno: number): Instruction => [RETURN, 0, 0, REFUSE | errno]
const argument = (index: number): Instruction => [LOAD, 0, 0, ARGUMENTS + 8 * index]
const number: Instruction = [LOAD, 0, 0, NUMBER]

/** Runs `body` for one call. It ends with a refusal or falls through, with the call's number loaded anew. */
function on(call: number | undefined, body: readonly Instruction[]): Instruction[] {
  if (call === undefined) return []
  return [[JUMP_IF_EQUAL, 0, body.length + 1, call], ...body, number]
}

export interface FilterOptions {
  readonly processor: Processor
  /** Of the engine: it may send signals to itself, and set its own limits. */
  readonly pid: number
  /** Whether devices of a GPU are opened for writing. */
  readonly opensDevices: boolean
}

/**
 * A filter for an engine's life: no network, no other process, no mounts, no change of files, nothing that hides from a filter. It still
 * lets it start a program.
 */
export function engineFilter({ processor, pid, opensDevices }: FilterOptions): Buffer {
  const byArgument = callsOf('byArgument', processor)
  const all = (group: CallGroup, errno: number): Instruction[] =>
    [...callsOf(group, processor).values()].flatMap(call => [[JUMP_IF_EQUAL, 0, 1, call], refuse(errno)] as const)
  const onlyOwn = (name: string, own: readonly number[]): Instruction[] =>
    on(byArgument.get(name), [
      argument(0),
      ...own.map((id, index): Instruction => [JUMP_IF_EQUAL, own.length - index, 0, id]),
      refuse(EPERM),
    ])
  const noWriting = (name: string, flags: number): Instruction[] =>
    on(byArgument.get(name), [argument(flags), [JUMP_IF_ANY_BIT, 0, 1, WRITING], refuse(EACCES)])
  return program(processor, [
    ...all('network', EPERM),
    ...all('otherProcesses', EPERM),
    ...all('kernel', EPERM),
    ...all('identity', EPERM),
    ...all('shared', EPERM),
    ...all('changesOfFiles', EACCES),
    ...all('opaque', ENOSYS),
    ...['kill', 'tgkill', 'rt_sigqueueinfo', 'rt_tgsigqueueinfo'].flatMap(name => onlyOwn(name, [pid])),
    ...onlyOwn('prlimit64', [0, pid]),
    ...on(byArgument.get('ioctl'), [
      argument(1),
      ...TYPING.flatMap((request): Instruction[] => [[JUMP_IF_EQUAL, 0, 1, request], refuse(EPERM)]),
    ]),
    ...(opensDevices ? [] : [...noWriting('open', 1), ...noWriting('openat', 2)]),
  ])
}

/** A filter that lets a process make threads, but neither processes nor programs. */
export function noProgramsFilter(processor: Processor): Buffer {
  const programs = [...callsOf('programs', processor).values()]
  return program(processor, [
    ...programs.flatMap((call): Instruction[] => [[JUMP_IF_EQUAL, 0, 1, call], refuse(EPERM)]),
    ...on(callsOf('byArgument', processor).get('clone'), [
      argument(0),
      [JUMP_IF_ANY_BIT, 1, 0, CLONE_THREAD],
      refuse(EPERM),
    ]),
  ])
}

/** For tests: refuses these calls as a kernel does that does not have them. */
export function withoutFilter(processor: Processor, calls: readonly number[]): Buffer {
  return program(
    processor,
    calls.flatMap((call): Instruction[] => [[JUMP_IF_EQUAL, 0, 1, call], refuse(ENOSYS)]),
  )
}

/** An array of `struct sock_filter`. */
function program(processor: Processor, rules: readonly Instruction[]): Buffer {
  const whole: Instruction[] = [
    [LOAD, 0, 0, ARCHITECTURE],
    [JUMP_IF_EQUAL, 1, 0, ARCHITECTURES[processor]],
    // The 32-bit calls of the same processor have other numbers.
    [RETURN, 0, 0, KILL_PROCESS],
    number,
    [JUMP_IF_GREATER, 0, 1, LAST_CALL],
    refuse(ENOSYS),
    ...rules,
    [RETURN, 0, 0, ALLOW],
  ]
  const bytes = Buffer.alloc(whole.length * 8)
  for (const [index, [code, jumpTrue, jumpFalse, operand]] of whole.entries()) {
    bytes.writeUInt16LE(code, index * 8)
    bytes.writeUInt8(jumpTrue, index * 8 + 2)
    bytes.writeUInt8(jumpFalse, index * 8 + 3)
    bytes.writeUInt32LE(operand >>> 0, index * 8 + 4)
  }
  return bytes
}
