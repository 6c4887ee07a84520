import type { AccessToken, GetTokenOptions, TokenCredential } from '@azure/core-auth'
import { IdentityMissing } from '../encryption/vault-error.ts'

/** One host, or `*.` for exactly one label in front; a port unless it is 443; the host of the resource that its challenge may name. */
const PATTERN = /^(\*\.)?([a-z0-9-]{1,63}(?:\.[a-z0-9-]{1,63}){0,9})(?::(\d{1,5}))?(?:=([a-z0-9.-]{1,253}))?$/

/** Thrown where the operator's credential for outside vaults gives no token. */
export class CredentialUnavailable extends Error {
  constructor(cause: unknown) {
    super("The operator's credential for vaults outside gives no token.", { cause })
    this.name = 'CredentialUnavailable'
  }
}

/** Outside vaults, which are not this cloud's: which of them may be called, and with which credential. */
export interface OutsideVaults {
  /** No other host is ever called, whatever a `keyVaultUri` says. */
  allows(vaultUri: string): boolean
  /** The operator's credential for one vault. It does not give tokens for other resources than this vault's. */
  credentialFor(vaultUri: string): TokenCredential
}

interface Pattern {
  fits(url: URL): boolean
  /** A resource for which the operator allows these hosts tokens, though they are not below it. */
  readonly resource: string | undefined
}

/**
 * @param patterns hosts such as `*.vault.azure.net` or `kv.example.org:8443`; empty: no outside vault is called
 * @param log called with the reason why the credential gives no token, which is for the operator and not for the customer
 * @throws Error for an invalid pattern
 */
export function outsideVaults(
  patterns: readonly string[],
  log: (message: string, error: unknown) => void,
): OutsideVaults {
  const allowed = patterns.map(parsePattern)
  const patternOf = (vaultUri: string): Pattern | undefined => {
    const url = URL.parse(vaultUri)
    return url?.protocol === 'https:' ? allowed.find(pattern => pattern.fits(url)) : undefined
  }
  const credential = operatorCredential(log)
  return {
    allows: vaultUri => patternOf(vaultUri) !== undefined,
    credentialFor: vaultUri => ({
      getToken: async (scopes, options) => {
        checkTenant(options?.tenantId)
        checkResource([scopes].flat()[0] ?? '', new URL(vaultUri), patternOf(vaultUri)?.resource)
        return credential.getToken(scopes, options)
      },
    }),
  }
}

/** A vault could ask for a token for any resource, and use it elsewhere. So only a domain above it, or one that the operator named, is allowed. */
function checkResource(scope: string, vault: URL, named: string | undefined): void {
  const resource = URL.parse(scope)?.hostname ?? ''
  if (resource !== '' && (vault.hostname.endsWith(`.${resource}`) || resource === named)) return
  throw new IdentityMissing(
    `The challenge of the vault at ${vault.host} names the resource '${scope.replace(/\/\.default$/, '').slice(0, 200)}', which its host is not below: ` +
      "no token was asked for. If that resource is right, the operator of this service names it: --outside-vaults '" +
      `${vault.host}=${resource === '' ? 'RESOURCE' : resource}'.`,
    'ChallengeMismatch',
  )
}

/** Refuses another tenant at once. The library would first look for another credential of that tenant, for minutes. */
function checkTenant(asked: string | undefined): void {
  const { AZURE_TENANT_ID: own, AZURE_CLIENT_ID: client, AZURE_ADDITIONALLY_ALLOWED_TENANTS: more = '' } = process.env
  if (asked === undefined || own === undefined || client === undefined || !/^[0-9a-f-]{36}$/i.test(own)) return
  const allowed = [own, ...more.split(';').map(tenant => tenant.trim())].map(tenant => tenant.toLowerCase())
  if (allowed.includes(asked.toLowerCase()) || allowed.includes('*') || !/^[0-9a-f-]{36}$/i.test(asked)) return
  throw new IdentityMissing(`The vault is of tenant ${asked}, the operator's credential of ${own}.`, 'TenantMismatch')
}

function parsePattern(text: string): Pattern {
  const match = PATTERN.exec(text.trim().toLowerCase())
  const [, wildcard, host = '', port = '443', resource] = match ?? []
  // `*.net` would allow half of the internet.
  const isTooWide = wildcard !== undefined && !host.includes('.')
  if (match === null || isTooWide || Number(port) < 1 || Number(port) > 65_535)
    throw new Error(
      `'${text.slice(0, 100)}' is not a host of vaults: it looks like *.vault.azure.net or kv.example.org:8443.`,
    )
  const fits = (url: URL): boolean => {
    if ((url.port === '' ? '443' : url.port) !== String(Number(port))) return false
    if (wildcard === undefined) return url.hostname === host
    const label = url.hostname.slice(0, -host.length - 1)
    return url.hostname === `${label}.${host}` && /^[a-z0-9-]+$/.test(label)
  }
  return { fits, resource }
}

/** Login hosts that Microsoft's library knows. Any other authority is a private cloud. */
const MICROSOFT_AUTHORITIES = new Set([
  'login.microsoftonline.com',
  'login.microsoftonline.us',
  'login.partner.microsoftonline.cn',
  'login.chinacloudapi.cn',
])

/** The credential that the operator configured, as Azure tools find it: environment, workload identity, managed identity, az. */
function operatorCredential(log: (message: string, error: unknown) => void): TokenCredential {
  let opened: Promise<TokenCredential> | undefined
  return {
    getToken: async (scopes, options): Promise<AccessToken | null> => {
      try {
        opened ??= openDefaultCredential()
        return await inTime(tokenOf(await opened, scopes, options), options?.abortSignal)
      } catch (error) {
        log("The operator's credential for vaults outside gives no token", error)
        throw new CredentialUnavailable(error)
      }
    },
  }
}

/** Credentials that are tried one after the other ignore the signal, and some take minutes. */
function inTime<T>(token: Promise<T>, signal: GetTokenOptions['abortSignal']): Promise<T> {
  if (signal === undefined) return token
  return new Promise((resolve, reject) => {
    const late = (): void => reject(new Error('The credential took too long.'))
    if (signal.aborted) late()
    signal.addEventListener('abort', late)
    token.then(resolve, reject).finally(() => signal.removeEventListener('abort', late))
  })
}

/** Some credentials, such as az's, can't make a new token for claims. Then the token that they give is used. */
async function tokenOf(
  credential: TokenCredential,
  scopes: string | string[],
  { claims, ...options }: GetTokenOptions = {},
): Promise<AccessToken | null> {
  if (claims === undefined) return credential.getToken(scopes, options)
  return credential
    .getToken(scopes, { ...options, claims })
    .catch((): Promise<AccessToken | null> => credential.getToken(scopes, options))
}

async function openDefaultCredential(): Promise<TokenCredential> {
  // It takes half a second to load, so only clouds with outside vaults load it.
  const { DefaultAzureCredential } = await import('@azure/identity')
  const authority = URL.parse(process.env['AZURE_AUTHORITY_HOST'] ?? 'https://login.microsoftonline.com')
  const disableInstanceDiscovery = !MICROSOFT_AUTHORITIES.has(authority?.hostname ?? '')
  return new DefaultAzureCredential({ disableInstanceDiscovery })
}
