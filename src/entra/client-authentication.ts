import { AzureError } from '../http/errors.ts'
import type { Call } from '../http/route.ts'
import type { Env } from '../base/env.ts'
import { aadsts, loginError, missingParameter } from './aadsts.ts'
import type { ClientLogins } from './applications.ts'
import { checkClientAssertion } from './client-assertion.ts'
import type { Client, Clients } from './clients.ts'
import type { IssuerKeys } from './issuer-keys.ts'

/** How a client proved who it is; `none`: it did not. */
export type Proof = 'none' | 'secret' | 'certificate' | 'federated'

export interface ClientAuthentication {
  /** @throws AADSTS700016 unknown client, and what `checkSecret` and `checkClientAssertion` say */
  authenticate(
    call: Call,
    form: URLSearchParams,
    tenantId: string | undefined,
  ): Promise<{ readonly client: Client; readonly proof: Proof }>
}

export function clientAuthentication(options: {
  readonly env: Env
  readonly clients: Clients
  readonly logins: ClientLogins
  readonly issuerKeys: IssuerKeys
}): ClientAuthentication {
  const { env, clients, logins, issuerKeys } = options
  return {
    async authenticate(call, form, tenantId) {
      const { clientId, secret } = credentials(call, form)
      const assertion = form.get('client_assertion')
      const client = await clients.find(clientId, tenantId)
      if (!secret && !assertion) return { client, proof: 'none' }
      const { application } = client
      if (application === undefined) {
        const message = "Client is public so neither 'client_assertion' nor 'client_secret' should be presented."
        throw loginError('invalid_client', 700_025, message)
      }
      if (secret && assertion)
        throw loginError('invalid_request', 90_013, 'Send either client_secret or client_assertion, not both.')
      if (secret) {
        await logins.checkSecret(application, secret)
        return { client, proof: 'secret' }
      }
      const given = { type: form.get('client_assertion_type'), assertion: assertion ?? '' }
      const audiences = audiencesOf(call, application.value.tenantId)
      const proof = await checkClientAssertion(application.value, given, { env, issuerKeys, audiences })
      return { client, proof }
    },
  }
}

/** Token endpoints and issuers of the tenant, in lower case. Older and newer clients name different ones. */
function audiencesOf(call: Call, tenantId: string): string[] {
  const tenants = [tenantId, (call.params['tenant'] ?? tenantId).toLowerCase()]
  return tenants.flatMap(tenant =>
    ['/oauth2/v2.0/token', '/oauth2/token', '/v2.0', ''].map(path => `${call.origin}/${tenant}${path}`),
  )
}

/** From the form, or from an `Authorization: Basic` header (RFC 6749 2.3.1). */
function credentials(call: Call, form: URLSearchParams): { clientId: string; secret: string | undefined } {
  const basic = /^basic +([\w+/-]+=*) *$/i.exec(call.headers.get('authorization') ?? '')?.[1]
  const [basicId, basicSecret] = basic === undefined ? [] : basicParts(basic)
  const clientId = form.get('client_id') ?? basicId
  if (!clientId) throw missingParameter('client_id')
  return { clientId, secret: form.get('client_secret') ?? basicSecret }
}

function basicParts(encoded: string): string[] {
  const decoded = Buffer.from(encoded, 'base64').toString('utf8')
  const colon = decoded.indexOf(':')
  try {
    return [decoded.slice(0, colon), decoded.slice(colon + 1)].map(decodeURIComponent)
  } catch (error) {
    throw new AzureError('invalid_request', 400, aadsts(9_002_019, 'The Authorization header is malformed.'), {
      cause: error,
    })
  }
}
