import type { TokenCredential } from '@azure/core-auth'
import { KeyClient } from '@azure/keyvault-keys'
import { AzureOpenAI } from 'openai'
import type { Endpoints } from '../base/endpoints.ts'

/** A response of Resource Manager that is not a success. */
export class ArmError extends Error {
  readonly status: number
  readonly code: string

  constructor(status: number, code: string, message: string) {
    super(message)
    this.name = 'ArmError'
    this.status = status
    this.code = code
  }
}

/** Client-credentials login of the administrator, as any client does it. */
export function administratorCredential(endpoints: Endpoints): TokenCredential {
  const { authority, tenantId, administrator } = endpoints
  return {
    getToken: async scopes => {
      const form = new URLSearchParams({
        grant_type: 'client_credentials',
        client_id: administrator.clientId,
        client_secret: administrator.clientSecret,
        scope: [scopes].flat().join(' '),
      })
      const response = await fetch(`${authority}/${tenantId}/oauth2/v2.0/token`, { method: 'POST', body: form })
      const body = (await response.json()) as { access_token?: string; expires_in?: number; error_description?: string }
      if (body.access_token === undefined)
        throw new Error(`The login failed: ${body.error_description ?? response.status}`)
      return { token: body.access_token, expiresOnTimestamp: Date.now() + (body.expires_in ?? 0) * 1000 }
    },
  }
}

/** The few calls of Resource Manager that demo, tests and benches need. */
export class ArmClient {
  readonly #endpoints: Endpoints
  readonly #credential: TokenCredential

  constructor(endpoints: Endpoints, credential: TokenCredential) {
    this.#endpoints = endpoints
    this.#credential = credential
  }

  /** @param path below the subscription, without api-version. @throws ArmError */
  async call<T = Record<string, unknown>>(method: string, path: string, apiVersion: string, body?: object): Promise<T> {
    const { resourceManager, subscriptionId } = this.#endpoints
    const token = await this.#credential.getToken(`${resourceManager}/.default`)
    const response = await fetch(
      `${resourceManager}/subscriptions/${subscriptionId}${path}?api-version=${apiVersion}`,
      {
        method,
        headers: { authorization: `Bearer ${token?.token ?? ''}`, 'content-type': 'application/json' },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      },
    )
    const text = await response.text()
    const parsed = (text === '' ? {} : JSON.parse(text)) as T & { error?: { code: string; message: string } }
    if (!response.ok) throw new ArmError(response.status, parsed.error?.code ?? '', parsed.error?.message ?? text)
    return parsed
  }
}

export function keyClient(endpoints: Endpoints, credential: TokenCredential, vault: string): KeyClient {
  return new KeyClient(`https://${vault}${endpoints.keyVaultSuffix}`, credential, {
    disableChallengeResourceVerification: true,
  })
}

export function openAiClient(endpoints: Endpoints, account: string, apiKey: string): AzureOpenAI {
  return new AzureOpenAI({ endpoint: `https://${account}${endpoints.openAiSuffix}`, apiKey, apiVersion: '2024-10-21' })
}
