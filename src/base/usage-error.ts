/** The command line makes no sense: exit code 2. The message is one or two sentences, for people. */
export class UsageError extends Error {
  /** The command whose help says more; undefined: the list of all commands. */
  command: string | undefined
}
