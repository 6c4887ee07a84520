import type { Command } from './command.ts'
import { bashCompletion } from './completion-bash.ts'
import { fishCompletion } from './completion-fish.ts'
import { zshCompletion } from './completion-zsh.ts'

const SCRIPTS = { bash: bashCompletion, zsh: zshCompletion, fish: fishCompletion }
type Shell = keyof typeof SCRIPTS

export const SHELLS: readonly Shell[] = ['bash', 'zsh', 'fish']

/** A script that tells a shell the commands, their options and the values of these. It does not run OwnKey. */
export function completionFor(shell: Shell, commands: readonly Command[]): string {
  return SCRIPTS[shell](commands)
}
