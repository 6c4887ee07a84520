const stored = new WeakMap<object, Map<unknown, unknown>>()

const metadataFunctions = {
  getMetadata: (key: unknown, target: object) => stored.get(target)?.get(key),
  getOwnMetadata: (key: unknown, target: object) => stored.get(target)?.get(key),
  hasMetadata: (key: unknown, target: object) => stored.get(target)?.has(key) ?? false,
  defineMetadata: (key: unknown, value: unknown, target: object) => {
    stored.set(target, (stored.get(target) ?? new Map<unknown, unknown>()).set(key, value))
  },
}

/**
 * Gives `Reflect` the four functions of the decorator-metadata proposal that @peculiar/x509's injection container asks for
 * while it loads, so that no polyfill package is needed. Real ones that are present already are left alone.
 */
export function provideMetadataFunctions(): void {
  if (!('getMetadata' in Reflect)) Object.assign(Reflect, metadataFunctions)
}
