/** The command line says something that can't be meant: exit code 2. The message is one or two sentences, for people. */
export class UsageError extends Error {
  /** The command whose help says more; undefined: that of all. */
  command: string | undefined
}
