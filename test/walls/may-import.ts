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
  // R11: the customer of a vault reaches it over its REST API alone, so none of these may import keyvault.
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
  // Of arm and keyvault the names alone: what it makes, it makes through their public APIs.
  seed: ['base', 'http', 'store', 'arm', 'keyvault'],
  // The composition root: it wires all modules together.
  cloud: [...KEY_CUSTOMERS, 'clock', 'pkcs11', 'keyvault', 'accounts', 'openai', 'folder', 'portal'],
  commands: ['base', 'audit', 'crypto', 'entra', 'store', 'encryption', 'folder', 'trust', 'seed'],
  // What each command is called and takes; what it does, its module does.
  cli: ['base', 'commands', 'demo'],
  // cli.ts, which is all that may lie in src itself.
  '.': ['base', 'cli'],
}
