import type { Mutation } from './mutation.ts'

/** Walls, patterns, limits and the start. */
export const OTHERS: readonly Mutation[] = [
  {
    without: 'the wall between accounts and keyvault',
    file: 'src/accounts/pace.ts',
    text: "import { setTimeout as sleep } from 'node:timers/promises'\n",
    replacement: "import { setTimeout as sleep } from 'node:timers/promises'\nimport '../keyvault/vault-name.ts'\n",
    test: 'test/walls/walls.test.ts',
  },
  {
    without: 'the same wall, by way of base',
    file: 'src/base/turns.ts',
    text: '/** Longest that the work of all together',
    replacement: "import '../keyvault/vault-name.ts'\n/** Longest that the work of all together",
    test: 'test/walls/walls.test.ts',
  },
  {
    without: 'the bound of a pattern on what a vault answers (D1)',
    file: 'src/encryption/vault-answer.ts',
    text: '/\\bauthorization(?:_uri)?="?([^",\\s]{1,500})/i',
    replacement: '/(?:\\s*authorization(?:_uri)?\\s*)*="?([^",\\s]+)/i',
    test: 'test/security/linear-patterns.test.ts',
  },
  {
    without: "a name's wait after wrong passwords (D5)",
    file: 'src/entra/login-limits.ts',
    text: 'if (left <= 0) return',
    replacement: 'if (left <= Infinity) return',
    test: 'src/entra/login-limits.test.ts',
  },
  {
    without: 'fairness between accounts (D4)',
    file: 'src/openai/job-queue.ts',
    text: 'ready.toSorted((a, b) => a.rank[0] - b.rank[0] || a.rank[1] - b.rank[1])',
    replacement: 'ready',
    test: 'src/openai/job-queue.test.ts',
  },
  {
    without: 'the limit of connections of one address',
    file: 'src/http/connection-limits.ts',
    text: 'own.length >= this.#limits.ofOnePeer',
    replacement: 'own.length >= Infinity',
    test: 'src/http/connection-limits.test.ts',
  },
  {
    without: 'taking OWNKEY_ROOT_KEY out of the environment',
    file: 'src/cloud/start.ts',
    text: "  delete process.env['OWNKEY_ROOT_KEY']\n",
    replacement: '',
    test: 'test/security/environment.test.ts',
  },
  {
    without: 'public addresses alone for issuers',
    file: 'src/entra/fetch-public.ts',
    text: "if (isIPv4(address)) return !SPECIAL.check(address, 'ipv4')",
    replacement: 'if (isIPv4(address)) return true',
    test: 'src/entra/issuer-keys.test.ts',
  },
  {
    without: 'what prove says of sealed files without a record (R26)',
    file: 'src/commands/prove-leftovers.ts',
    text: 'return sealedFiles.length === 0 && accounts.length === 0',
    replacement: 'return sealedFiles.length >= 0 && accounts.length >= 0',
    test: 'test/security/leftovers.test.ts',
  },
]
