/** The engine failed: a crash, a model that does not fit, a broken checkpoint. The message never quotes data. */
export class EngineFailure extends Error {
  override readonly name: string = 'EngineFailure'
}

/** The base model is not there, or its file is another one. That is the operator's to put right, so what needs it can wait. */
export class BaseUnavailable extends EngineFailure {
  override readonly name = 'BaseUnavailable'
}

/**
 * Why a training can't be done with its data: too little can be learned by this base, its template does not take a conversation, or it takes
 * more memory than there is.
 */
export type UnfitReason = 'invalid_n_examples' | 'jsonlValidationFailed' | 'outOfMemory'

/** The training can't be done with its data on this base and machine. The message is for users, and quotes none of the data. */
export class TrainingDataUnfit extends EngineFailure {
  override readonly name = 'TrainingDataUnfit'
  readonly reason: UnfitReason

  constructor(reason: UnfitReason, message: string) {
    super(message)
    this.reason = reason
  }
}

/** Why an engine's process is gone: memory ran out, somebody killed it, it hung and we ended it, or it crashed. */
export type LossReason = 'memory' | 'killed' | 'hung' | 'crashed'

/** The engine's process is gone, and the request is not the cause, so it may be tried again. */
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

/** The model's chat template does not take these messages. */
export class ConversationRefused extends RangeError {
  override readonly name = 'ConversationRefused'

  /** @param reason the template's own words, which quote no message */
  static by(reason: string): ConversationRefused {
    return new ConversationRefused(`The chat template of this model does not take these messages: ${reason}`)
  }
}

/** Too many requests wait for one model. */
export class EngineBusy extends Error {
  override readonly name = 'EngineBusy'
}
