import { Agent, request } from 'node:https'
import type { Endpoints } from '../base/endpoints.ts'

/** The cloud's address and credentials, which the composition root gives to a seed. */
export interface SeedAccess {
  readonly endpoints: Endpoints
  /** The local CA's certificate. */
  readonly caPem: string
  readonly administration: {
    tenants(): Promise<{ readonly tenantId: string; readonly displayName: string }[]>
    administrator(tenantId: string): Promise<{ readonly objectId: string }>
    token(tenantId: string, audience: string): Promise<string>
  }
}

/** A response of the cloud that is not a success, with its message. */
export class Refused extends Error {
  readonly status: number
  readonly code: string

  constructor(status: number, code: string, message: string) {
    super(message)
    this.status = status
    this.code = code
  }
}

/** The public APIs of one tenant as its administrator, over HTTPS as for any client. */
export interface TenantClient {
  readonly tenantId: string
  /** @param path with its query. @throws Refused */
  arm<T>(method: string, path: string, body?: object): Promise<T>
  graph<T>(method: string, path: string, body?: object): Promise<T>
  /** @param url absolute, or a path of the vault */
  vault<T>(name: string, method: string, url: string, body?: object): Promise<T>
}

const TIMEOUT_MS = 60_000

export class SeedClient {
  readonly access: SeedAccess
  readonly #agent: Agent
  readonly #tokens = new Map<string, string>()

  constructor(access: SeedAccess) {
    this.access = access
    this.#agent = new Agent({ keepAlive: true, ca: access.caPem })
  }

  as(tenantId: string): TenantClient {
    const { authority, resourceManager, keyVaultSuffix } = this.access.endpoints
    const call = async <T>(audience: string, url: string, method: string, body?: object): Promise<T> =>
      this.#send<T>(new URL(url), method, await this.#token(tenantId, audience), body)
    return {
      tenantId,
      arm: (method, path, body) => call(resourceManager, `${resourceManager}${path}`, method, body),
      graph: (method, path, body) => call(authority, `${authority}/v1.0${path}`, method, body),
      vault: (name, method, url, body) => {
        const origin = `https://${name}${keyVaultSuffix}`
        return call('https://vault.azure.net', url.startsWith('/') ? `${origin}${url}` : url, method, body)
      },
    }
  }

  close(): void {
    this.#agent.destroy()
  }

  async #token(tenantId: string, audience: string): Promise<string> {
    const key = `${tenantId} ${audience}`
    const token = this.#tokens.get(key) ?? (await this.access.administration.token(tenantId, audience))
    this.#tokens.set(key, token)
    return token
  }

  async #send<T>(url: URL, method: string, token: string, body?: object): Promise<T> {
    const { status, text } = await this.#exchange(url, method, token, body)
    const parsed = (text === '' ? {} : JSON.parse(text)) as T & { error?: { code?: string; message?: string } }
    if (status < 300) return parsed
    throw new Refused(status, parsed.error?.code ?? '', parsed.error?.message ?? text.slice(0, 500))
  }

  #exchange(url: URL, method: string, token: string, body?: object): Promise<{ status: number; text: string }> {
    const content = body === undefined ? undefined : Buffer.from(JSON.stringify(body))
    const headers = {
      host: url.host,
      authorization: `Bearer ${token}`,
      ...(content === undefined ? {} : { 'content-type': 'application/json', 'content-length': content.length }),
    }
    return new Promise((resolve, reject) => {
      const sent = request(
        {
          // The cloud is this process, so its names need no resolver.
          host: '127.0.0.1',
          port: url.port,
          servername: url.hostname,
          path: `${url.pathname}${url.search}`,
          method,
          headers,
          agent: this.#agent,
          timeout: TIMEOUT_MS,
        },
        response => {
          const chunks: Buffer[] = []
          response.on('data', (chunk: Buffer) => chunks.push(chunk))
          response.on('error', reject)
          response.on('end', () =>
            resolve({ status: response.statusCode ?? 0, text: Buffer.concat(chunks).toString() }),
          )
        },
      )
      sent.on('timeout', () =>
        sent.destroy(new Error(`${method} ${url.host} did not answer in ${TIMEOUT_MS / 1000} s.`)),
      )
      sent.on('error', reject)
      sent.end(content)
    })
  }
}

/** Undefined for something that does not exist. */
export async function found<T>(answer: Promise<T>): Promise<T | undefined> {
  try {
    return await answer
  } catch (error) {
    if (error instanceof Refused && error.status === 404) return undefined
    throw error
  }
}
