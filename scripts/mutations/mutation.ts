/** One check taken out of the code, and the tests that must fail then. */
export interface Mutation {
  /** What is gone, for the table. */
  readonly without: string
  readonly file: string
  /** Stands there exactly once, which a test holds. */
  readonly text: string
  readonly replacement: string
  readonly test: string
  /** Runs only tests whose title holds this. */
  readonly title?: string
  /** Why no test can fail. Never of a rule that cites an article. */
  readonly survives?: string
}
