/** Processors whose numbers of system calls are known here. */
export type Processor = 'x64' | 'arm64'

/** Which systems calls an engine never makes, by what they would reach. */
export type CallGroup = keyof typeof CALLS

/**
 * `name x64 arm64`, `-` where the processor has no such call.
 * Sources: arch/x86/entry/syscalls/syscall_64.tbl and scripts/syscall.tbl of Linux 6.18
 */
const CALLS = {
  network:
    'socket 41 198, socketpair 53 199, bind 49 200, listen 50 201, accept 43 202, accept4 288 242, connect 42 203',
  /** Without a filter for `clone` and `clone3`, which make threads too. */
  programs: 'execve 59 221, execveat 322 281, fork 57 -, vfork 58 -',
  otherProcesses:
    'ptrace 101 117, process_vm_readv 310 270, process_vm_writev 311 271, process_madvise 440 440, process_mrelease 448 448, ' +
    'pidfd_open 434 434, pidfd_getfd 438 438, pidfd_send_signal 424 424, kcmp 312 272, tkill 200 130, setpriority 141 140, ' +
    'sched_setaffinity 203 122, sched_setscheduler 144 119, sched_setparam 142 118, sched_setattr 314 274, ioprio_set 251 30, ' +
    'migrate_pages 256 238, move_pages 279 239',
  kernel:
    'acct 163 89, add_key 248 217, adjtimex 159 171, bpf 321 280, chroot 161 51, clock_adjtime 305 266, clock_settime 227 112, ' +
    'delete_module 176 106, fanotify_init 300 262, fanotify_mark 301 263, finit_module 313 273, fsconfig 431 431, fsmount 432 432, ' +
    'fsopen 430 430, fspick 433 433, init_module 175 105, ioperm 173 -, iopl 172 -, kexec_file_load 320 294, kexec_load 246 104, ' +
    'keyctl 250 219, lookup_dcookie 212 18, lsm_set_self_attr 460 460, modify_ldt 154 -, mount 165 40, mount_setattr 442 442, ' +
    'move_mount 429 429, name_to_handle_at 303 264, nfsservctl 180 42, open_by_handle_at 304 265, open_tree 428 428, ' +
    'open_tree_attr 467 467, perf_event_open 298 241, personality 135 92, pivot_root 155 41, quotactl 179 60, quotactl_fd 443 443, ' +
    'reboot 169 142, request_key 249 218, setdomainname 171 162, sethostname 170 161, setns 308 268, settimeofday 164 170, ' +
    'swapoff 168 225, swapon 167 224, syslog 103 116, umount2 166 39, unshare 272 97, userfaultfd 323 282, uselib 134 -, ' +
    'ustat 136 -, vhangup 153 58',
  identity:
    'capset 126 91, setfsgid 123 152, setfsuid 122 151, setgid 106 144, setgroups 116 159, setregid 114 143, setresgid 119 149, ' +
    'setresuid 117 147, setreuid 113 145, setuid 105 146',
  /** Memory and queues that other processes of the same user reach by a number. */
  shared:
    'mq_open 240 180, mq_unlink 241 181, msgctl 71 187, msgget 68 186, msgrcv 70 188, msgsnd 69 189, semctl 66 191, semget 64 190, ' +
    'semop 65 193, semtimedop 220 192, shmat 30 196, shmctl 31 195, shmdt 67 197, shmget 29 194',
  changesOfFiles:
    'chmod 90 -, chown 92 -, creat 85 -, fchmod 91 52, fchmodat 268 53, fchmodat2 452 452, fchown 93 55, fchownat 260 54, ' +
    'file_setattr 469 469, fremovexattr 199 16, fsetxattr 190 7, futimesat 261 -, lchown 94 -, link 86 -, linkat 265 37, ' +
    'lremovexattr 198 15, lsetxattr 189 6, mkdir 83 -, mkdirat 258 34, mknod 133 -, mknodat 259 33, removexattr 197 14, ' +
    'removexattrat 466 466, rename 82 -, renameat 264 38, renameat2 316 276, rmdir 84 -, setxattr 188 5, setxattrat 463 463, ' +
    'symlink 88 -, symlinkat 266 36, truncate 76 45, unlink 87 -, unlinkat 263 35, utime 132 -, utimensat 280 88, utimes 235 -',
  /** They hide what they do from a filter, and have older forms that don't. */
  opaque: 'clone3 435 435, io_uring_enter 426 426, io_uring_register 427 427, io_uring_setup 425 425, openat2 437 437',
  /** Refused by their arguments. */
  byArgument:
    'clone 56 220, ioctl 16 29, kill 62 129, open 2 -, openat 257 56, prlimit64 302 261, rt_sigqueueinfo 129 138, ' +
    'rt_tgsigqueueinfo 297 240, tgkill 234 131',
} as const

/** The last call of Linux 6.18. What comes later is not known here, so it is answered as an older kernel does. */
export const LAST_CALL = 469

/** Numbers by name of a group on a processor. */
export function callsOf(group: CallGroup, processor: Processor): ReadonlyMap<string, number> {
  const column = processor === 'x64' ? 1 : 2
  const rows = CALLS[group].split(', ').map(row => row.split(' '))
  return new Map(rows.filter(row => row[column] !== '-').map(row => [row[0] ?? '', Number(row[column])]))
}
