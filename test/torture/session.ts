import type { Endpoints } from '../../src/base/endpoints.ts'

/** The outcome of a request. `unknown`: no complete answer came, or one that does not tell what was done (5xx). */
export type Outcome =
  | { readonly kind: 'done'; readonly status: number; readonly bytes: Buffer }
  | { readonly kind: 'refused'; readonly status: number; readonly message: string }
  | { readonly kind: 'unknown'; readonly status: number; readonly message: string }

export interface Sent {
  readonly method?: string
  readonly url: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: object | FormData | undefined
}

const PATIENCE_MS = 30_000
const RETRY_MS = 100
const COGNITIVE = '2025-06-01'
const VAULTS = '2023-07-01'

/** Plain requests that are sent once, since a client with retries would hide what a crash did to the first. */
export class Session {
  readonly endpoints: Endpoints
  /** Answers that a cloud must not give, whatever is done to its processes. */
  readonly troubles: string[] = []
  /** Nobody listens any more. */
  isGone = false
  readonly #tokens = new Map<string, Promise<string>>()

  constructor(endpoints: Endpoints) {
    this.endpoints = endpoints
  }

  async send({ method = 'GET', url, headers = {}, body }: Sent): Promise<Outcome> {
    const isForm = body instanceof FormData
    try {
      const response = await fetch(url, {
        method,
        headers: { ...headers, ...(body === undefined || isForm ? {} : { 'content-type': 'application/json' }) },
        signal: AbortSignal.timeout(PATIENCE_MS),
        ...(body === undefined ? {} : { body: isForm ? body : JSON.stringify(body) }),
      })
      const bytes = Buffer.from(await response.arrayBuffer())
      const { status } = response
      if (status < 400) return { kind: 'done', status, bytes }
      const message = `${method} ${new URL(url).pathname} ${status} ${bytes.toString().slice(0, 600)}`
      if (status < 500) return { kind: 'refused', status, message }
      this.troubles.push(message)
      return { kind: 'unknown', status, message }
    } catch (error) {
      // It never reached the service.
      if (isRefused(error)) {
        this.isGone = true
        return { kind: 'refused', status: 0, message: String(error) }
      }
      const isLate = error instanceof Error && error.name === 'TimeoutError'
      if (isLate) this.troubles.push(`${method} ${new URL(url).pathname} was not answered within ${PATIENCE_MS} ms`)
      return { kind: 'unknown', status: 0, message: String(error) }
    }
  }

  /** Something that was counted as trouble, but is not. */
  forgive(message: string): void {
    const at = this.troubles.indexOf(message)
    if (at >= 0) this.troubles.splice(at, 1)
  }

  /** As `send`, with the administrator's token. @param path below the subscription, without api-version */
  async arm(method: string, path: string, body?: object): Promise<Outcome> {
    const { resourceManager, subscriptionId } = this.endpoints
    return this.root(method, `${resourceManager}/subscriptions/${subscriptionId}${path}`, body)
  }

  /** @param url of Resource Manager, as an operation is polled */
  async root(method: string, url: string, body?: object): Promise<Outcome> {
    const version = /microsoft\.keyvault/i.test(url) ? VAULTS : COGNITIVE
    const whole = url.includes('api-version=') ? url : `${url}?api-version=${version}`
    return this.#asAdministrator({ method, url: whole, body }, this.endpoints.resourceManager)
  }

  /** @param path of the vault's data plane */
  async vault(method: string, vault: string, path: string, body?: object): Promise<Outcome> {
    const url = `https://${vault}${this.endpoints.keyVaultSuffix}${path}?api-version=7.4`
    return this.#asAdministrator({ method, url, body }, `https://vault${this.endpoints.keyVaultSuffix.slice(6)}`)
  }

  /** @param path below `/openai/v1` of the account */
  data(method: string, account: { name: string; apiKey: string }, path: string, body?: Sent['body']): Promise<Outcome> {
    const url = `https://${account.name}${this.endpoints.openAiSuffix}/openai/v1${path}`
    return this.send({ method, url, body, headers: { 'api-key': account.apiKey } })
  }

  /** Says who holds the token: the `oid` claim. */
  async administratorId(): Promise<string> {
    const token = await this.#token(this.endpoints.resourceManager)
    return (JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString()) as { oid: string }).oid
  }

  async #asAdministrator(sent: Sent, resource: string): Promise<Outcome> {
    try {
      return await this.send({ ...sent, headers: { authorization: `Bearer ${await this.#token(resource)}` } })
    } catch (error) {
      // No token, so nothing was asked.
      return { kind: 'refused', status: 0, message: String(error) }
    }
  }

  #token(resource: string): Promise<string> {
    const known = this.#tokens.get(resource)
    if (known !== undefined) return known
    const token = this.#login(resource)
    this.#tokens.set(resource, token)
    token.catch(() => this.#tokens.delete(resource))
    return token
  }

  async #login(resource: string): Promise<string> {
    const { authority, tenantId, administrator } = this.endpoints
    const body = new URLSearchParams({
      grant_type: 'client_credentials',
      client_id: administrator.clientId,
      client_secret: administrator.clientSecret,
      scope: `${resource}/.default`,
    })
    const signal = AbortSignal.timeout(PATIENCE_MS)
    const response = await fetch(`${authority}/${tenantId}/oauth2/v2.0/token`, { method: 'POST', body, signal })
    const { access_token: token } = (await response.json()) as { access_token?: string }
    if (token === undefined) throw new Error(`The login failed: ${response.status}`)
    return token
  }
}

function isRefused(error: unknown): boolean {
  const cause = error instanceof Error ? error.cause : undefined
  return cause instanceof Error && 'code' in cause && cause.code === 'ECONNREFUSED'
}

/** The body of an answer that came. */
// Tests read bodies of every shape.
// oxlint-disable-next-line typescript/no-explicit-any
export function bodyOf(outcome: Outcome): any {
  if (outcome.kind !== 'done') throw new Error(`not answered: ${outcome.message}`)
  return outcome.bytes.length === 0 ? undefined : JSON.parse(outcome.bytes.toString())
}

/** Repeats a request until it is not refused, for what must work once a cloud has started. @throws Error after this many seconds */
export async function must(ask: () => Promise<Outcome>, seconds = 20): Promise<Extract<Outcome, { kind: 'done' }>> {
  for (const deadline = Date.now() + seconds * 1000; ;) {
    const outcome = await ask()
    if (outcome.kind === 'done') return outcome
    // What is not there does not come with time.
    if (outcome.status === 404 || Date.now() > deadline) throw new Error(`not within ${seconds} s: ${outcome.message}`)
    await new Promise(resolve => setTimeout(resolve, RETRY_MS))
  }
}
