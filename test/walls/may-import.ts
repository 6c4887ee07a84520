const KEY_CUSTOMERS = ['base', 'audit', 'crypto', 'http', 'store', 'entra', 'arm', 'encryption', 'engines']
/** Which modules (folders of src) each module may import, besides itself. */
export const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  base: [],
  crypto: ['base'],
  http: ['base'],
  store: ['base', 'http', 'crypto'],
  audit: ['base', 'http', 'store'],
  clock: ['base', 'http', 'store', 'audit'],
  entra: ['base', 'audit', 'crypto', 'http', 'store'],
  arm: ['base', 'audit', 'http', 'store', 'entra'],
  pkcs11: ['base'],
  keyvault: ['base', 'audit', 'crypto', 'http', 'store', 'entra', 'arm', 'pkcs11'],
  encryption: ['base', 'crypto', 'http', 'store'],
  // R11: the customers of a vault reach it over its REST API alone, so they must not import keyvault.
  accounts: KEY_CUSTOMERS,
  openai: [...KEY_CUSTOMERS, 'accounts'],
  engines: ['base'],
  // A data folder as a whole: backup, restore, verify.
  folder: ['base', 'audit', 'crypto', 'http', 'store', 'encryption', 'accounts', 'openai'],
  portal: ['http'],
  // What the demo, tests, benches and examples share: clients of a cloud, and a process to run one in.
  harness: ['base', 'http'],
  demo: ['base', 'harness'],
  trust: ['base'],
  // Only the names of arm and keyvault, since it makes everything through their public APIs.
  seed: ['base', 'http', 'store', 'arm', 'keyvault'],
  // The composition root: it wires all modules together.
  cloud: [...KEY_CUSTOMERS, 'clock', 'pkcs11', 'keyvault', 'accounts', 'openai', 'folder', 'portal'],
  commands: ['base', 'audit', 'crypto', 'engines', 'entra', 'store', 'encryption', 'folder', 'trust', 'seed'],
  // The names and options of commands. Their modules do the work.
  cli: ['base', 'commands', 'demo'],
  // cli.ts, the only file in src itself.
  '.': ['base', 'cli'],
}
