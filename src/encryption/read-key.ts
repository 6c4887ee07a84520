import type { KeyVaultKey } from '@azure/keyvault-keys'

const isTime = (value: unknown): boolean => value instanceof Date && !Number.isNaN(value.getTime())
const isText = (value: unknown): boolean => typeof value === 'string'

/** The fields of a key that this service uses, where they are present. */
const SHAPES: readonly (readonly [(read: KeyVaultKey) => unknown, (value: unknown) => boolean])[] = [
  [({ properties }) => properties.expiresOn, isTime],
  [({ properties }) => properties.notBefore, isTime],
  [({ properties }) => properties.recoveryLevel, isText],
  [({ properties }) => properties.version, isText],
  [({ key }) => key?.n, value => value instanceof Uint8Array],
  [({ keyOperations }) => keyOperations, Array.isArray],
]

/**
 * Checks a key from a vault, since the client library returns the body of any 200 and not every vault is Microsoft's. Null counts as
 * absent. @throws Error where it is not a key
 */
export function asKey(read: KeyVaultKey): KeyVaultKey {
  const { properties, key, keyOperations, ...rest } = read
  const operations = (keyOperations as string[] | null | undefined) ?? undefined
  const given: KeyVaultKey = {
    ...rest,
    properties: present(properties),
    key: present(key),
    ...(operations === undefined ? {} : { keyOperations: operations }),
  }
  const isKey = isText(given.id) && isText(given.key?.kty)
  if (!isKey || SHAPES.some(([of, fits]) => of(given) !== undefined && !fits(of(given)))) throw new Error('not a key')
  return given
}

/** The same without null fields, which a vault may send for what it does not have. */
function present<T extends object>(value: T | undefined | null): T {
  return Object.fromEntries(Object.entries(value ?? {}).filter(([, one]) => one !== null)) as T
}
