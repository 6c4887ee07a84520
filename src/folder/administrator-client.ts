import { readFile } from 'node:fs/promises'
import { getCACertificates, setDefaultCACertificates } from 'node:tls'
import { stoppedCloud } from '../base/data-folder.ts'
import { readEndpoints } from '../base/endpoints.ts'
import { resolveLocalNames } from '../http/local-names.mjs'
import { plainError } from '../base/plain-error.ts'

/** An administrator's client of a running cloud, for the commands. */
export interface AdministratorClient {
  /** @param path with its query. @throws with the service's own message when it refuses */
  call<T>(method: string, path: string, body?: object): Promise<T>
}

/** Refusals of the service, with what to do. */
export class AdministratorError extends Error {
  readonly status: number
  readonly code: string

  constructor(status: number, code: string, message: string) {
    super(message)
    this.status = status
    this.code = code
  }
}

/** Logs in with the credentials of `endpoints.json`, and again whenever a token has expired. @throws when no cloud answers there */
export async function connectAdministrator(dataDir: string): Promise<AdministratorClient> {
  const { authority, tenantId, administrator, resourceManager, caCertificate } = await readEndpoints(dataDir)
  resolveLocalNames()
  setDefaultCACertificates([...getCACertificates('default'), await readFile(caCertificate, 'utf8')])
  const reach = reacher(dataDir)
  const logIn = async (): Promise<string> => {
    const form = new URLSearchParams({
      grant_type: 'client_credentials',
      client_id: administrator.clientId,
      client_secret: administrator.clientSecret,
      scope: `${resourceManager}/.default`,
    })
    const response = await reach(`${authority}/${tenantId}/oauth2/v2.0/token`, { method: 'POST', body: form })
    const body = (await response.json()) as { access_token?: string; error_description?: string }
    if (body.access_token !== undefined) return body.access_token
    throw new AdministratorError(response.status, 'login', `The login failed: ${body.error_description ?? ''}`)
  }
  let token = await logIn()
  const send = (method: string, path: string, body?: object): Promise<Response> =>
    reach(`${resourceManager}${path}`, {
      method,
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    })
  return {
    async call<T>(method: string, path: string, body?: object): Promise<T> {
      let response = await send(method, path, body)
      if (response.status === 401) {
        token = await logIn()
        response = await send(method, path, body)
      }
      const text = await response.text()
      const parsed = (text === '' ? {} : JSON.parse(text)) as T & { error?: { code: string; message: string } }
      if (response.ok) return parsed
      throw new AdministratorError(response.status, parsed.error?.code ?? '', parsed.error?.message ?? text)
    },
  }
}

function reacher(dataDir: string): (url: string, init: RequestInit) => Promise<Response> {
  return async (url, init) => {
    try {
      return await fetch(url, init)
    } catch (error) {
      const { cause } = error as { cause?: NodeJS.ErrnoException }
      // A cloud that was killed leaves its endpoints.json.
      if (cause?.code === 'ECONNREFUSED') throw stoppedCloud(dataDir)
      throw new Error(`The cloud of ${dataDir} does not answer at ${new URL(url).host}: ${plainError(error)}`, {
        cause: error,
      })
    }
  }
}
