import type { Command } from './command.ts'
import { bashCompletion } from './completion-bash.ts'
import { fishCompletion } from './completion-fish.ts'
import { zshCompletion } from './completion-zsh.ts'

const SCRIPTS = { bash: bashCompletion, zsh: zshCompletion, fish: fishCompletion }
type Shell = keyof typeof SCRIPTS

export const SHELLS: readonly Shell[] = ['bash', 'zsh', 'fish']

/** A script that teaches a shell the commands, their options and what values these take; it runs nothing of ours. */
export function completionFor(shell: Shell, commands: readonly Command[]): string {
  return SCRIPTS[shell](commands)
}
