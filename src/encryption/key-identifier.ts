import { AzureError } from '../http/errors.ts'

/** A key in a vault; without `version` it means the latest one. */
export interface KeyIdentifier {
  /** `https://host[:port]`, without a trailing slash. */
  readonly vaultUri: string
  readonly name: string
  readonly version?: string
}

export function formatKeyIdentifier(key: KeyIdentifier): string {
  return `${key.vaultUri}/keys/${key.name}${key.version === undefined ? '' : `/${key.version}`}`
}

/** Reads a key's URI as `formatKeyIdentifier` writes it. */
export function parseKeyIdentifier(text: string): KeyIdentifier {
  const match = /^(https:\/\/[^/]+)\/keys\/([0-9A-Za-z-]{1,127})(?:\/([0-9a-f]{32}))?\/?$/.exec(text)
  if (match === null)
    throw new AzureError(
      'InvalidKeyUri',
      400,
      `'${text.slice(0, 200)}' is not a key identifier: it looks like https://<vault>/keys/<name>/<version>.`,
    )
  const [, vaultUri = '', name = '', version] = match
  return { vaultUri, name, ...(version === undefined ? {} : { version }) }
}

/** Checks the three fields of ARM's `keyVaultProperties`. An empty version means the latest. @throws 400 InvalidKeyUri */
export function keyIdentifierFrom(properties: {
  keyVaultUri: string
  keyName: string
  keyVersion?: string | undefined
}): KeyIdentifier {
  const uri = URL.parse(properties.keyVaultUri)
  if (
    uri === null ||
    uri.protocol !== 'https:' ||
    uri.username !== '' ||
    (uri.pathname !== '/' && uri.pathname !== '')
  ) {
    throw new AzureError(
      'InvalidKeyUri',
      400,
      `keyVaultUri ${uri?.username === '' ? `'${properties.keyVaultUri.slice(0, 200)}' ` : ''}is not a vault URI: it looks like https://<vault>.vault.azure.net/.`,
      { target: 'properties.encryption.keyVaultProperties.keyVaultUri' },
    )
  }
  const version = properties.keyVersion ?? ''
  return parseKeyIdentifier(`${uri.origin}/keys/${properties.keyName}${version === '' ? '' : `/${version}`}`)
}

/** The vault's name, for a command to copy. A text that can't be a vault's name is not repeated. */
export function vaultNameOf(uri: string): string {
  const name = URL.parse(uri)?.hostname.split('.')[0] ?? ''
  return /^[a-z0-9-]{1,127}$/i.test(name) ? name : '<vault>'
}
