import { AzureError } from '../http/errors.ts'
import type { Authenticator, Call } from '../http/route.ts'
import type { Tokens } from './tokens.ts'

/** The token of an `Authorization: Bearer` header; undefined where there is none. */
export function bearerToken(call: Call): string | undefined {
  return /^bearer +([\w.~+/-]+=*) *$/i.exec(call.headers.get('authorization') ?? '')?.[1]
}

/** Lets principals in whose token is for one of `audiences`; everybody else gets 401 with the challenge. */
export function bearerAuthenticator(options: {
  readonly tokens: Pick<Tokens, 'verify'>
  readonly audiences: readonly string[]
  /** The WWW-Authenticate header's value. */
  readonly challenge: (call: Call) => string | Promise<string>
}): Authenticator {
  const { tokens, audiences, challenge } = options
  return async call => {
    try {
      const token = bearerToken(call)
      if (token === undefined) {
        const message = "Authentication failed. The 'Authorization' header is missing or is not a bearer token."
        throw new AzureError('AuthenticationFailed', 401, message)
      }
      return await tokens.verify(token, { audiences })
    } catch (error) {
      if (!(error instanceof AzureError) || error.status !== 401) throw error
      const headers = { ...error.options.headers, 'www-authenticate': await challenge(call) }
      throw new AzureError(error.code, 401, error.message, { ...error.options, headers, cause: error })
    }
  }
}
