import { UsageError } from '../../base/usage-error.ts'
import { version } from '../../base/version.ts'
import { command, type Command } from '../command.ts'
import { completionFor, SHELLS } from '../completion.ts'
import { commandHelp, overview } from '../help.ts'
import { flag, inWords } from '../option.ts'
import { noCommand } from '../parse.ts'

/** The commands about commands. @param all every command, these included */
export function about(all: () => readonly Command[]): Command[] {
  return [
    command({
      name: 'completion',
      summary: 'print completion for a shell',
      synopsis: 'bash|zsh|fish',
      mostWords: 1,
      words: SHELLS,
      notes: ['bash, zsh: eval "$(./ownkey completion bash)" in ~/.bashrc or ~/.zshrc.'],
      examples: ['completion fish > ~/.config/fish/completions/ownkey.fish'],
      options: {},
      async run(_, [given]) {
        const shell = SHELLS.find(one => one === given)
        if (shell === undefined) throw new UsageError(`Name a shell: ${inWords(SHELLS)}.`)
        return say(completionFor(shell, all()))
      },
    }),
    command({
      name: 'version',
      summary: 'print the version, also --version or -V',
      examples: ['version'],
      options: {},
      run: async () => say(`ownkey ${version()}, Node ${process.versions.node}\n`),
    }),
    command({
      name: 'help',
      summary: 'explain a command, also COMMAND --help or -h',
      synopsis: '[COMMAND]',
      mostWords: 2,
      words: 'command',
      examples: ['help start', 'help audit verify'],
      options: { all: flag('explain the rarely needed options too') },
      async run(values, words) {
        if (words.length === 0) return say(overview(all()))
        const name = words.join(' ')
        const wanted = all().find(one => one.name === name)
        if (wanted === undefined) throw noCommand(name, all())
        return say(commandHelp(wanted, values))
      },
    }),
  ]
}

function say(text: string): number {
  process.stdout.write(text)
  return 0
}
