import type { Readable } from 'node:stream'
import type { BaseSettings } from './engine-settings.ts'
import type { Json } from './json-text.ts'
import type { LoraSettings } from './lora-settings.ts'
import type { SealedWeights } from './sealed-weights.ts'

/** A function that the assistant may call. */
export interface ChatTool {
  readonly name: string
  readonly description?: string
  /** A JSON schema. */
  readonly parameters?: { readonly [key: string]: Json }
}

export interface ToolCall {
  readonly id: string
  readonly name: string
  /** A JSON object as text. */
  readonly arguments: string
}

export interface ChatMessage {
  /** `developer` is `system` for a model whose template knows only that. */
  readonly role: 'system' | 'developer' | 'user' | 'assistant' | 'tool'
  readonly content: string
  /** 0 keeps an assistant message out of the loss (training only). */
  readonly weight?: 0 | 1
  /** At least one; of assistant messages only. */
  readonly toolCalls?: readonly ToolCall[]
  /** The call of an earlier message whose result a `tool` message is. */
  readonly toolCallId?: string
}

export interface Conversation {
  readonly messages: readonly ChatMessage[]
  readonly tools?: readonly ChatTool[]
  /** Whether the assistant may call several tools at once. */
  readonly parallelToolCalls?: boolean
}

/** How a job learns: from the answers, or from which of two answers is preferred (DPO). */
export type TrainingMethod = 'supervised' | 'dpo'

export interface Hyperparameters {
  readonly nEpochs: number | 'auto'
  readonly batchSize: number | 'auto'
  readonly learningRateMultiplier: number | 'auto'
  /** DPO alone: how strongly the model is held to its reference. */
  readonly beta?: number | 'auto'
  /** DPO alone: the weight decay of AdamW. */
  readonly l2Multiplier?: number | 'auto'
}

export interface ResolvedHyperparameters {
  readonly nEpochs: number
  readonly batchSize: number
  readonly learningRateMultiplier: number
  readonly beta?: number
  readonly l2Multiplier?: number
}

/** Codes of problems of a training file. */
export type FindingCode =
  | 'duplicate_tool'
  | 'duplicate_tool_call_id'
  | 'file_too_large'
  | 'invalid_arguments'
  | 'invalid_content'
  | 'invalid_json'
  | 'invalid_message'
  | 'invalid_n_examples'
  | 'invalid_parallel_tool_calls'
  | 'invalid_tool_call'
  | 'invalid_tools'
  | 'invalid_utf8'
  | 'invalid_weight'
  | 'line_too_long'
  | 'missing_input'
  | 'missing_messages'
  | 'missing_output'
  | 'missing_role'
  | 'missing_tool_result'
  | 'mixed_formats'
  | 'more_findings'
  | 'no_assistant_message'
  | 'no_weighted_message'
  | 'not_an_object'
  | 'not_jsonl'
  | 'not_utf8'
  | 'too_deeply_nested'
  | 'too_many_values'
  | 'unknown_field'
  | 'unknown_role'
  | 'unknown_tool'
  | 'unknown_tool_call_id'
  | 'unsupported_content'
  | 'unsupported_tools'

/** A problem of a training file, for people: it has the line's number, never its content. */
export interface Finding {
  readonly level: 'error' | 'warning'
  readonly code: FindingCode
  readonly message: string
  /** 1-based. */
  readonly line?: number
}

/** The catalogue's name of a base model, for example `ownkey-tiny-chat`. */
export type BaseModelName = string

export interface TrainingSpec {
  readonly jobId: string
  readonly base: BaseModelName
  /** Of the base's file when the job was created. */
  readonly baseSha256?: string | undefined
  /** Absent: supervised. */
  readonly method?: TrainingMethod | undefined
  /** Training data: JSONL of conversations, or of preferences for DPO, already validated, in plaintext and in memory only. */
  readonly train: Readable
  readonly valid?: Readable
  readonly hyperparameters: Hyperparameters
  readonly seed: number
  /** The adapter of a fine-tuned model on the same base, to start from; absent: a fresh one. Not read with `resumeFrom`, which has its own. */
  readonly startFrom?: Readable
  /** A checkpoint that this trainer wrote before (weights, moments and position), to resume from. */
  readonly resumeFrom?: Readable
  /** When aborted, the training keeps a checkpoint after its current step, then ends with the signal's reason. */
  readonly pause?: AbortSignal
}

/** DPO's implicit rewards: beta times how much likelier the model finds an output than the reference does, as means over pairs. */
export interface Rewards {
  readonly preferred: number
  readonly nonPreferred: number
  /** The share of pairs whose preferred output has the greater reward. */
  readonly accuracy: number
}

export interface TrainingMetrics {
  readonly step: number
  readonly totalSteps: number
  readonly epoch: number
  readonly trainLoss: number
  readonly trainMeanTokenAccuracy: number
  readonly validLoss?: number
  readonly validMeanTokenAccuracy?: number
  /** DPO alone; the token accuracies are then those of preferred outputs. */
  readonly trainRewards?: Rewards
  readonly validRewards?: Rewards
}

export interface TrainingCheckpoint {
  readonly step: number
  readonly epoch: number
  /** It is within an epoch, so it is only for resuming. */
  readonly interim: boolean
  /** The LoRA adapter at this step as GGUF, which a deployment loads. */
  readonly adapter: Readable
  /** For `resumeFrom`: adapter, optimizer moments, position. */
  readonly state: Readable
  readonly metrics: TrainingMetrics
}

/** Lines of a file, 1-based. */
export interface Lines {
  readonly count: number
  /** The first of them. */
  readonly first: readonly number[]
}

/** What a trainer makes of a file. */
export interface FileReport {
  readonly file: 'training' | 'validation'
  /** Examples that are used, and their tokens. */
  readonly examples: number
  readonly tokens: number
  /** Of examples with more than `context` tokens. */
  readonly cut: Lines
  /** Of examples with nothing left to learn within it. */
  readonly leftOut: Lines
  readonly context: number
}

/** Each method is awaited before training goes on. An error from a method stops the training. */
export interface TrainingSink {
  started(plan: {
    readonly hyperparameters: ResolvedHyperparameters
    readonly totalSteps: number
    readonly examples: number
    readonly files: readonly FileReport[]
  }): Promise<void>
  metrics(metrics: TrainingMetrics): Promise<void>
  checkpoint(checkpoint: TrainingCheckpoint): Promise<void>
}

export interface TrainingResult {
  /** The final LoRA adapter as GGUF. */
  readonly adapter: Readable
  /** Tokens that the model was trained on, in all epochs together. */
  readonly trainedTokens: number
  readonly steps: number
}

/** Trains adapters. It gets plaintext bytes, never a key or a path to plaintext on a disk. */
export interface Trainer {
  /** Bases that this trainer can fine-tune. */
  readonly bases: readonly BaseModelName[]
  /** @throws the signal's reason when aborted, the sink's error when the sink throws, EngineFailure when the engine fails */
  train(spec: TrainingSpec, sink: TrainingSink, signal: AbortSignal): Promise<TrainingResult>
}

export interface ChatRequest extends Conversation {
  /** Tokens; the engine's own limit when absent. */
  readonly maxTokens?: number
  readonly temperature?: number
  readonly topP?: number
  readonly seed?: number
  readonly stop?: readonly string[]
}

export type ChatDelta =
  | { readonly type: 'text'; readonly text: string }
  | {
      readonly type: 'end'
      readonly finishReason: 'stop' | 'length'
      readonly promptTokens: number
      readonly completionTokens: number
    }

/** A model in a process of its own. Requests run one after another. */
export interface LoadedModel {
  /** Ends with exactly one `end` delta. @throws ContextTooLong (a RangeError) when the prompt does not fit */
  chat(request: ChatRequest, signal: AbortSignal): AsyncIterable<ChatDelta>
  /** Ends the process with the weights. Resolves when it is gone. */
  unload(): Promise<void>
  /** Resolves to the reason when the process ends (for restarts). */
  readonly ended: Promise<string>
  readonly pid: number
}

export interface InferenceRuntime {
  load(deployment: {
    readonly id: string
    readonly base: BaseModelName
    /** Of the base's file on which the adapter was trained. */
    readonly baseSha256?: string | undefined
    readonly adapter?: Readable
    /** If it is aborted while the model loads, the process is killed. */
    readonly signal?: AbortSignal
  }): Promise<LoadedModel>
}

/** A base model in the catalogue. */
export interface BaseModel {
  readonly name: BaseModelName
  /** Path of its GGUF (public weights, not a customer's data). */
  readonly path: string
  readonly parameters: number
  /** Tokens. */
  readonly contextLength: number
  readonly description: string
  readonly licence: string
  /** Of its file, in hexadecimal. */
  readonly sha256: string
  /** Of its file when it was compared with that; absent for the embedded one. */
  /** Opens its weights, where the file is sealed. */
  readonly openWeights?: () => Promise<SealedWeights>
  readonly stamp?: { readonly bytes: number; readonly modified: number }
  readonly fineTune: boolean
  /** The shape of new adapters, where the operator chose one. */
  readonly lora?: LoraSettings
  /** Why it can't be fine-tuned. */
  readonly untrainable?: string
  readonly engine?: BaseSettings
}
