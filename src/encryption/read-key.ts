import type { KeyVaultKey } from '@azure/keyvault-keys'

const isTime = (value: unknown): boolean => value instanceof Date && !Number.isNaN(value.getTime())
const isText = (value: unknown): boolean => typeof value === 'string'

/** What this service uses of a key, where it is there. */
const SHAPES: readonly (readonly [(read: KeyVaultKey) => unknown, (value: unknown) => boolean])[] = [
  [({ properties }) => properties.expiresOn, isTime],
  [({ properties }) => properties.notBefore, isTime],
  [({ properties }) => properties.recoveryLevel, isText],
  [({ properties }) => properties.version, isText],
  [({ key }) => key?.n, value => value instanceof Uint8Array],
  [({ keyOperations }) => keyOperations, Array.isArray],
]

/**
 * A key as a vault gave it: the client library hands on whatever a 200 holds, and not every vault is Microsoft's. What is null counts as
 * absent. @throws Error where it is no key
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
  if (!isKey || SHAPES.some(([of, fits]) => of(given) !== undefined && !fits(of(given)))) throw new Error('no key')
  return given
}

/** The same without what is null, which a vault may say of what it does not have. */
function present<T extends object>(value: T | undefined | null): T {
  return Object.fromEntries(Object.entries(value ?? {}).filter(([, one]) => one !== null)) as T
}
