import { existsSync } from 'node:fs'
import { registerHooks } from 'node:module'
import { after, afterEach, before, beforeEach, describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'

/* With `--import`: lets Node run tests that were compiled for mocha and a bundler. */
const shim = new URL('microsoft-tests.shim.ts', import.meta.url).href
const SHIMMED = ['@azure-tools/test-recorder', '@azure-tools/test-credential', 'chai']

// One of their files is marked `describe.skip` as a whole, but it runs here.
const all = Object.assign(describe.bind(undefined), { skip: describe })
Object.assign(globalThis, { after, afterEach, before, beforeEach, describe: all, it })

registerHooks({
  resolve(specifier, context, next) {
    if (SHIMMED.includes(specifier)) return { url: shim, shortCircuit: true }
    const { parentURL = '' } = context
    if (!specifier.startsWith('.') || !parentURL.includes('/dist-esm/')) return next(specifier, context)
    const base = new URL(specifier, parentURL)
    const found = ['', '.js', '/index.js'].find(end => (base.href + end).endsWith('.js') && exists(base.href + end))
    return next(found === undefined ? specifier : base.href + found, context)
  },
})

function exists(url: string): boolean {
  return existsSync(fileURLToPath(url))
}
