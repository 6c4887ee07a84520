/** Azure's rule: 3 to 24 letters, digits and single hyphens, a letter first, no hyphen last. */
export function isVaultName(name: string): boolean {
  return /^[a-z][a-z0-9-]{1,22}[a-z0-9]$/i.test(name) && !name.includes('--')
}

export function invalidVaultName(name: string): string {
  return (
    `The vault name '${name.slice(0, 64)}' is invalid. A vault's name must be between 3-24 alphanumeric characters. The name must ` +
    'begin with a letter, end with a letter or digit, and not contain consecutive hyphens. Follow this link for more information: ' +
    'https://go.microsoft.com/fwlink/?linkid=2147742'
  )
}

export function takenVaultName(name: string): string {
  return (
    `The vault name '${name}' is already in use. Vault names are globally unique so it is possible that the name is already taken. ` +
    'If you are sure that the vault name was not taken then it is possible that a vault with the same name was recently deleted but ' +
    'not purged after being placed in a recoverable state. If the vault is in a recoverable state then the vault will need to be ' +
    'purged before reusing the name. For more information about VaultAlreadyExists, soft delete and purging a vault follow this ' +
    'link https://go.microsoft.com/fwlink/?linkid=2147740.'
  )
}

export const NAME_IS_DELETED =
  'A vault with the same name already exists in deleted state. You need to either recover or purge existing key vault. Follow this ' +
  'link https://go.microsoft.com/fwlink/?linkid=2149745 for more information on soft delete.'
