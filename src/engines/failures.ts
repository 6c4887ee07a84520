/** The engine could not do its work: a crash, a model that does not fit, a broken checkpoint. Never quotes data. */
export class EngineFailure extends Error {
  override readonly name: string = 'EngineFailure'
}

/** Why an engine's process is gone: the kernel wanted its memory, somebody ended it, it hung and we ended it, or it crashed. */
export type LossReason = 'memory' | 'killed' | 'hung' | 'crashed'

/** The engine's process is gone, through no fault of what was asked of it: the same may be tried again. */
export class EngineLost extends EngineFailure {
  override readonly name = 'EngineLost'
  readonly reason: LossReason

  /** @param message for users: no data, no path */
  constructor(reason: LossReason, message: string) {
    super(message)
    this.reason = reason
  }
}

/** The prompt and its answer do not fit into the model's context. */
export class ContextTooLong extends RangeError {
  override readonly name = 'ContextTooLong'
  readonly promptTokens: number
  readonly contextLength: number

  constructor(promptTokens: number, contextLength: number) {
    super(
      `This model's maximum context length is ${contextLength} tokens. However, your messages resulted in ` +
        `${promptTokens} tokens. Please reduce the length of the messages.`,
    )
    this.promptTokens = promptTokens
    this.contextLength = contextLength
  }
}

/** Too many requests wait for one model already. */
export class EngineBusy extends Error {
  override readonly name = 'EngineBusy'
}
