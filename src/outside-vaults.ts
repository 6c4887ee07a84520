import type { AccessToken, TokenCredential } from '@azure/core-auth'

/** One host, or `*.` for exactly one label before it; with a port unless it is 443. */
const PATTERN = /^(\*\.)?([a-z0-9-]{1,63}(?:\.[a-z0-9-]{1,63}){0,9})(?::(\d{1,5}))?$/

/** Thrown where the operator's credential for vaults outside gives no token. */
export class CredentialUnavailable extends Error {
  constructor(cause: unknown) {
    super("The operator's credential for vaults outside gives no token.", { cause })
    this.name = 'CredentialUnavailable'
  }
}

/** Vaults that are none of this cloud's: which of them may be called, and with what credential. */
export interface OutsideVaults {
  /** No other host is ever called, whatever stands in a `keyVaultUri`. */
  allows(vaultUri: string): boolean
  readonly credential: TokenCredential
}

/**
 * @param patterns hosts such as `*.vault.azure.net` or `kv.example.org:8443`; none: no vault outside is called
 * @param log told why the credential gives no token, which is the operator's to know and not the customer's
 * @throws Error for a pattern that is none
 */
export function outsideVaults(
  patterns: readonly string[],
  log: (message: string, error: unknown) => void,
): OutsideVaults {
  const allowed = patterns.map(parsePattern)
  return {
    allows: vaultUri => {
      const url = URL.parse(vaultUri)
      return url?.protocol === 'https:' && allowed.some(fits => fits(url))
    },
    credential: operatorCredential(log),
  }
}

function parsePattern(text: string): (url: URL) => boolean {
  const match = PATTERN.exec(text.trim().toLowerCase())
  const [, wildcard, host = '', port = '443'] = match ?? []
  // `*.net` would be half of the world.
  const isTooWide = wildcard !== undefined && !host.includes('.')
  if (match === null || isTooWide || Number(port) < 1 || Number(port) > 65_535)
    throw new Error(
      `'${text.slice(0, 100)}' is no host of vaults: it looks like *.vault.azure.net or kv.example.org:8443.`,
    )
  return url => {
    if ((url.port === '' ? '443' : url.port) !== String(Number(port))) return false
    if (wildcard === undefined) return url.hostname === host
    const label = url.hostname.slice(0, -host.length - 1)
    return url.hostname === `${label}.${host}` && /^[a-z0-9-]+$/.test(label)
  }
}

/** Hosts that Microsoft's library can look up itself; any other authority is a cloud of somebody's own. */
const MICROSOFT_AUTHORITIES = new Set([
  'login.microsoftonline.com',
  'login.microsoftonline.us',
  'login.partner.microsoftonline.cn',
  'login.chinacloudapi.cn',
])

/** What the operator configured, as any Azure tool reads it: environment, workload identity, managed identity, az. */
function operatorCredential(log: (message: string, error: unknown) => void): TokenCredential {
  let opened: Promise<TokenCredential> | undefined
  return {
    getToken: async (scopes, options): Promise<AccessToken | null> => {
      try {
        opened ??= openDefaultCredential()
        return await (await opened).getToken(scopes, options)
      } catch (error) {
        log("The operator's credential for vaults outside gives no token", error)
        throw new CredentialUnavailable(error)
      }
    },
  }
}

async function openDefaultCredential(): Promise<TokenCredential> {
  // Half a second to load: only clouds that use vaults outside pay it.
  const { DefaultAzureCredential } = await import('@azure/identity')
  const authority = URL.parse(process.env['AZURE_AUTHORITY_HOST'] ?? 'https://login.microsoftonline.com')
  const disableInstanceDiscovery = !MICROSOFT_AUTHORITIES.has(authority?.hostname ?? '')
  return new DefaultAzureCredential({ disableInstanceDiscovery })
}
