import type { Command } from './command.ts'
import { audit, auditHead, auditVerify } from './commands/audit.ts'
import { clock, prove, reEncrypt } from './commands/data.ts'
import { backup, restore, verify } from './commands/folder.ts'
import { about } from './commands/about.ts'
import { doctor, env, trust } from './commands/machine.ts'
import { modelsAdd, modelsCheck, modelsList, modelsRemove } from './commands/models.ts'
import { demo, run, test } from './commands/project.ts'
import { start } from './commands/start.ts'

/** Every command, in the order of the help text. */
export const COMMANDS: readonly Command[] = [
  demo,
  start,
  env,
  trust,
  doctor,
  prove,
  audit,
  auditVerify,
  auditHead,
  reEncrypt,
  verify,
  backup,
  restore,
  modelsAdd,
  modelsList,
  modelsCheck,
  modelsRemove,
  clock,
  run,
  test,
  ...about(() => COMMANDS),
]
