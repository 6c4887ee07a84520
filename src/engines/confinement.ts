import { askConfinement } from './spawn-engine.ts'

/** What engines are kept from on this machine. */
export interface ConfinementReport {
  /** For people, in one line. */
  readonly summary: string
  /** What engines could do all the same, each with why. None: everything is kept from them. */
  readonly lacks: readonly string[]
  /** What to do about it; none: nothing can be done on this system. */
  readonly remedy: readonly string[]
}

const REMEDY = [
  'Run it on Linux 5.13 or newer with Landlock (CONFIG_SECURITY_LANDLOCK, and landlock among lsm=) and seccomp;',
  'in a container, with a seccomp profile that allows landlock_create_ruleset, landlock_add_rule, landlock_restrict_self and seccomp.',
]

/** Tries what the kernel grants, in a process that is started like an engine. */
export async function reportConfinement(): Promise<ConfinementReport> {
  if (process.platform !== 'linux') {
    const lacks = [`Engines are not confined on ${process.platform}: they may do what this service may.`]
    return { summary: 'engines are not confined', lacks, remedy: [] }
  }
  const found = await askConfinement()
  const files = found?.landlock === undefined
  const calls = found?.filter !== true
  const lacks = [
    ...(files
      ? ['Engines may read every file that this service may, root.key too: this kernel has no Landlock for it.']
      : []),
    ...(calls ? ['Engines may open connections and start programs: this kernel has no seccomp filter for it.'] : []),
    ...(found?.noNewPrivileges === true
      ? []
      : ['Programs that engines start may have more rights than they: no_new_privs is refused.']),
  ]
  const kept = [...(files ? [] : [`Landlock ${found?.landlock}`]), ...(calls ? [] : ['seccomp'])]
  return {
    summary: `engines are confined by ${kept.join(' and ') || 'nothing'}`,
    lacks,
    remedy: lacks.length === 0 ? [] : REMEDY,
  }
}
