import type { Readable } from 'node:stream'
import type { ZodType } from 'zod'

/** `login` and the like are one host each; `vault` and `openai` are `<label>.vault.<domain>`, `<label>.openai.<domain>`. */
export type HostName = 'login' | 'management' | 'vault' | 'openai' | 'portal' | 'metadata'

/** Who calls: nobody yet, the holder of an account's API key, or a principal of a tenant with a verified token. */
export type Caller =
  | { readonly type: 'anonymous' }
  | { readonly type: 'key'; readonly account: string }
  | {
      readonly type: 'principal'
      readonly tenantId: string
      readonly objectId: string
      readonly appId: string
      readonly claims: Readonly<Record<string, unknown>>
    }

/** The bytes of a request as they come. */
export interface CallBody extends Readable {
  /** Bytes so far. */
  readonly received: number
  /** Milliseconds that we have waited for the client. */
  readonly waited: number
}

export interface Call {
  readonly method: string
  /** As the client sent it, duplicate slashes collapsed. */
  readonly url: URL
  /** `<label>` of `<label>.vault.<domain>`, lower case; empty for hosts without one. */
  readonly label: string
  /** `https://host:port` as the client used it; `kid`s and next links are built from it. */
  readonly origin: string
  /** Values of `:name` segments, decoded, in the letters the client sent. */
  readonly params: Readonly<Record<string, string>>
  /** Names in lower case; the last of repeated values. */
  readonly query: ReadonlyMap<string, string>
  readonly headers: Headers
  /** Address of the socket's real peer, never from a header. */
  readonly peer: string
  /** `service`: the call came through this process's own in-memory connection, which no client can open. */
  readonly via: 'network' | 'service'
  readonly requestId: string
  readonly caller: Caller
  /** Aborted when the client goes away. */
  readonly signal: AbortSignal
  /** Parses the body as JSON; 400 with the field's path when it does not fit, 413 above the route's `maxBody`. */
  json<T>(schema: ZodType<T>): Promise<T>
  /** The raw body; errors with 413 once more than `maxBody` bytes came. */
  body(): CallBody
}

export type Handler = (call: Call) => Promise<Response> | Response

/** Names of authenticators that src/cloud/wire.ts wires: each turns a call into its Caller or throws 401/403. */
export type AuthScheme = 'management' | 'vault' | 'openai' | 'administrator'

interface RouteBase {
  readonly host: HostName
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE' | 'HEAD'
  /**
   * Lower case with `:name` segments, for example `/keys/:name/:version/unwrapkey`; matched in any letter case.
   * `:name*` takes one or more segments, for example the scope of a role assignment; literals and `:name` win over it.
   */
  readonly path: string
  /** Bytes; 0 where no body is taken. */
  readonly maxBody: number
  readonly handler: Handler
}

/** One record for each route, so that authentication and limits can't be forgotten. */
export type Route = RouteBase &
  (
    | { readonly auth: AuthScheme }
    | { readonly auth: 'none'; /** Why nobody has to be asked. */ readonly reason: string }
  )

export type Authenticator = (call: Call) => Promise<Caller>
