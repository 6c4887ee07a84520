import {
  AuthError,
  CacheLookupPolicy,
  InteractionRequiredAuthError,
  PublicClientApplication,
  type AccountInfo,
} from '@azure/msal-browser'
import { config } from './config.ts'

/** Scopes of the four kinds of API that the portal calls. */
export const SCOPES = {
  management: 'https://management.azure.com//.default',
  vault: 'https://vault.azure.net/.default',
  graph: 'https://graph.microsoft.com/.default',
  data: 'https://cognitiveservices.azure.com/.default',
} as const

export type Scope = keyof typeof SCOPES

let client: PublicClientApplication | undefined
let account: AccountInfo | undefined
let leaving: Promise<void> | undefined

/** Completes a sign-in, or begins one; undefined when the browser is leaving for the sign-in page. */
export async function signIn(): Promise<AccountInfo | undefined> {
  const { authority, clientId } = config()
  client = new PublicClientApplication({
    auth: {
      clientId,
      authority,
      knownAuthorities: [new URL(authority).host],
      redirectUri: `${location.origin}/`,
      postLogoutRedirectUri: `${location.origin}/`,
    },
    // The tab's own storage, so that no token outlives the tab or is in local storage.
    cache: { cacheLocation: 'sessionStorage' },
  })
  await client.initialize()
  const returned = await client.handleRedirectPromise({ navigateToLoginRequestUrl: true })
  account = returned?.account ?? client.getAllAccounts()[0]
  if (account === undefined)
    await client.loginRedirect({ scopes: [SCOPES.management], redirectStartPage: location.href })
  else client.setActiveAccount(account)
  return account
}

export async function signOut(): Promise<void> {
  await client?.logoutRedirect({ account: account ?? null })
}

/**
 * A token for one of the APIs. It goes to the sign-in page when only the user can help. `renewed`: a new one, because the
 * server no longer accepts the cached one (its clock was moved, or its keys changed).
 */
export async function accessToken(scope: Scope, { renewed = false } = {}): Promise<string> {
  if (client === undefined || account === undefined) throw new Error('Nobody is signed in.')
  try {
    const { accessToken: token } = await client.acquireTokenSilent({
      scopes: [SCOPES[scope]],
      account,
      // Never by a hidden frame, which would never get an answer here.
      cacheLookupPolicy: renewed ? CacheLookupPolicy.RefreshToken : CacheLookupPolicy.AccessTokenAndRefreshToken,
    })
    return token
  } catch (error) {
    if (!needsUser(error)) throw error
    // Other callers that need a token meanwhile wait for the same redirect.
    leaving ??= client.acquireTokenRedirect({ scopes: [SCOPES[scope]], account, redirectStartPage: location.href })
    await leaving
    return new Promise(() => {})
  }
}

const SPENT: ReadonlySet<string> = new Set(['invalid_grant', 'no_tokens_found', 'refresh_token_expired'])

const needsUser = (error: unknown): boolean =>
  error instanceof InteractionRequiredAuthError || (error instanceof AuthError && SPENT.has(error.errorCode))

export function signedInUser(): { name: string; userName: string } {
  return { name: account?.name ?? account?.username ?? '', userName: account?.username ?? '' }
}
