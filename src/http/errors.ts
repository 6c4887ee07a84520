import type { DetailCode, ErrorCode, InnerCode } from './error-codes.ts'

/** The vault's or another inner cause: `innererror` on Azure's planes. */
export interface InnerError {
  readonly code: InnerCode
  readonly message?: string
  readonly innererror?: InnerError
}

export interface ErrorDetail {
  readonly code: DetailCode
  readonly message: string
  readonly target?: string
  /** Parts of the message for programs, as Resource Manager's errors have them. */
  readonly additionalInfo?: readonly { readonly type: string; readonly info: object }[]
}

export interface ErrorOptions {
  readonly innererror?: InnerError
  readonly details?: readonly ErrorDetail[]
  readonly target?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly cause?: unknown
  /** The audit log's text in place of a message that repeats parts of a customer's request body. */
  readonly recorded?: string
}

/** The one error class of all planes: thrown anywhere, encoded once at the edge (http/encode-error.ts). */
export class AzureError extends Error {
  readonly code: ErrorCode
  readonly status: number
  readonly options: ErrorOptions

  constructor(code: ErrorCode, status: number, message: string, options: ErrorOptions = {}) {
    super(message, options.cause === undefined ? {} : { cause: options.cause })
    this.name = 'AzureError'
    this.code = code
    this.status = status
    this.options = options
  }
}

/** 404 with the plane's own code, for example `ResourceNotFound` or `KeyNotFound`. */
export class NotFound extends AzureError {
  constructor(code: ErrorCode, message: string, options: ErrorOptions = {}) {
    super(code, 404, message, options)
  }
}

/** 409: the record changed under the caller, or the name is taken. */
export class Conflict extends AzureError {
  constructor(code: ErrorCode, message: string, options: ErrorOptions = {}) {
    super(code, 409, message, options)
  }
}

/** 403: the caller is known and may not do this. */
export class Forbidden extends AzureError {
  constructor(code: ErrorCode, message: string, options: ErrorOptions = {}) {
    super(code, 403, message, options)
  }
}
