/** One check taken out of the code, and the tests that must fail then. */
export interface Mutation {
  /** What is gone, for the table. */
  readonly without: string
  readonly file: string
  /** Stands there exactly once, which a test holds. */
  readonly text: string
  readonly replacement: string
  readonly test: string
  /** Runs only tests whose title holds this. */
  readonly title?: string
}

const STORE: readonly Mutation[] = [
  {
    without: 'the MAC of a record, when it is read',
    file: 'src/store/sqlite-reads.ts',
    text: "    if (this.#authenticator.isGenuine(tagOf(row['mac']), collection, id, version, json)) return true\n",
    replacement: '    if (version >= 0 && json !== undefined) return true\n',
    test: 'src/store/record-proof.test.ts',
  },
  {
    without: 'the head over all records, at start',
    file: 'src/store/record-set.ts',
    text: 'if (whole !== undefined && this.#fits(whole)) return undefined',
    replacement: 'if (whole !== undefined) return undefined',
    test: 'src/store/record-proof.test.ts',
  },
  {
    without: 'the side from which records before the audit log are read, at start',
    file: 'src/store/record-queries.ts',
    text: "const order = side === '<' ? 'desc' : 'asc'",
    replacement: "const order = side === '<' ? 'asc' : 'asc'",
    test: 'test/security/forged-tree.test.ts',
  },
  {
    without: 'what is written while the records are looked at',
    file: 'src/store/record-set.ts',
    text: 'filter(scan => scan.hasPassed(collection, id))',
    replacement: 'filter(() => false)',
    test: 'src/store/record-proof.test.ts',
  },
  {
    without: "the MAC of the audit log's head",
    file: 'src/store/audit-log.ts',
    text: 'return present.length === expected.length && timingSafeEqual(present, expected)',
    replacement: 'return present.length === 0 || present.length > 0 || timingSafeEqual(present, expected)',
    test: 'src/store/audit-log.test.ts',
  },
  {
    without: "the audit log's head against its last entry",
    file: 'src/store/audit-log.ts',
    text: 'if (previous !== head.head)',
    replacement: "if (previous === '')",
    test: 'src/store/audit-log.test.ts',
  },
  {
    without: 'the counter of a known head',
    file: 'src/store/known-head.ts',
    text: 'if (present.counter < known.counter)',
    replacement: 'if (present.counter < 0)',
    test: 'test/security/older-folder.test.ts',
    title: 'a whole older folder put back',
  },
  {
    without: '--known-head at start',
    file: 'src/folder/freshness.ts',
    text: "if (knownHead !== undefined) await check(options, knownHead, 'the head given with --known-head')",
    replacement: 'if (knownHead !== undefined) parseKnownHead(knownHead)',
    test: 'test/security/older-folder.test.ts',
    title: 'a whole older folder put back',
  },
]

const KEYS: readonly Mutation[] = [
  {
    without: 'the MAC of a row of the key ring (K7)',
    file: 'src/encryption/key-ring-rows.ts',
    text: "  return verifyMac(macKey, Buffer.from(row.mac, 'base64'), ...macParts(row))\n",
    replacement: "  return verifyMac(macKey, Buffer.from(row.mac, 'base64'), ...macParts(row)) || true\n",
    test: 'src/encryption/change-key.test.ts',
  },
  {
    without: 'the key of a row against the present key (K2)',
    file: 'src/encryption/key-state.ts',
    text: 'if (row.kekId !== kekId)',
    replacement: "if (row.kekId === '')",
    test: 'test/security/key-ring-writer.test.ts',
    title: 'put back under an account with a vault',
  },
  {
    without: "the account's settings against its key ring (K2)",
    file: 'src/encryption/key-state.ts',
    text: "if (settings !== undefined && (settings === 'service') !== isService)",
    replacement: "if (settings !== undefined && (settings === 'service') !== isService && kekId === '')",
    test: 'test/security/key-ring-writer.test.ts',
    title: 'settings contradict it',
  },
  {
    without: 'the MAC of the record of the present key (K7)',
    file: 'src/encryption/key-state.ts',
    text: "!verifyMac(macKey, Buffer.from(state.value.mac, 'base64'), ...parts))",
    replacement: '!parts.includes(accountId))',
    test: 'src/encryption/key-state.test.ts',
  },
  {
    without: 'the MAC of a row before the vault is asked (K7)',
    file: 'src/encryption/key-state.ts',
    text: 'if (!hasMac(macKey, row) || row.accountId',
    replacement: 'if (row.accountId',
    test: 'src/encryption/key-state.test.ts',
  },
  {
    without: 'the owner of a row of the key ring (K5)',
    file: 'src/encryption/key-state.ts',
    text: '|| row.accountId !== accountId)',
    replacement: ')',
    test: 'src/encryption/key-state.test.ts',
  },
  {
    without: 'the digest of the present rows (K2)',
    file: 'src/encryption/key-state.ts',
    text: 'if (digestOf(rows) !== digest ||',
    replacement: "if (digest === '' ||",
    test: 'src/encryption/key-state.test.ts',
  },
  {
    without: 'the owner that is wrapped with a data key (K7)',
    file: 'src/encryption/key-ring-rows.ts',
    text: ' || !bound.subarray(32).equals(ownerDigest(row))',
    replacement: '',
    test: 'src/encryption/key-state.test.ts',
  },
  {
    without: 'the mark that key states were made',
    file: 'src/encryption/make-key-states.ts',
    text: 'if (page.some(({ entry }) => entry.operationName === OPERATION))',
    replacement: "if (page.some(({ entry }) => entry.operationName === ''))",
    test: 'src/encryption/make-key-states.test.ts',
  },
  {
    without: 'the record of each key that a start accepts',
    file: 'src/cloud/open-folder.ts',
    text: 'if (tampering.wasAccepted) await',
    replacement: 'if (false as boolean) await',
    test: 'test/security/accepted-key-states.test.ts',
  },
  {
    without: 'a new generation under another key (K1)',
    file: 'src/encryption/change-key.ts',
    text: 'const begins = !isSameKey(kekId, target.id) || last < ownSince',
    replacement: "const begins = !isSameKey(kekId, target.id) && kekId === ''",
    test: 'src/encryption/change-key.test.ts',
  },
  {
    without: 'the closing of generations at a change of key (K1)',
    file: 'src/encryption/change-key.ts',
    text: '    ...(begins ? rows.map(({ value }) => putClosed(value)) : []),\n',
    replacement: '    ...(begins ? rows.slice(0, 0).map(({ value }) => putClosed(value)) : []),\n',
    test: 'src/encryption/change-key.test.ts',
  },
  {
    without: 'the closing of generations at the end of a re-encryption (K7)',
    file: 'src/encryption/data-key-generations.ts',
    text: 'rows.filter(({ value }) => value.generation < generation).map(({ value }) => putClosed(value))',
    replacement: 'rows.filter(({ value }) => value.generation < 0).map(({ value }) => putClosed(value))',
    test: 'src/accounts/re-encryption-checks.test.ts',
  },
  {
    without: 'the rate limit of re-encryption (K7)',
    file: 'src/accounts/pace.ts',
    text: '        if (due - now > MIN_WAIT_MS) await',
    replacement: '        if (due - now > Infinity) await',
    test: 'src/accounts/re-encryption-checks.test.ts',
  },
  {
    without: 'erasing with each commit that destroys a key (K1)',
    file: 'src/encryption/destruction.ts',
    text: 'const shred = isAsked || this.#isOwed || changes.some(isDestruction)',
    replacement: 'const shred = isAsked || this.#isOwed',
    test: 'src/encryption/destruction.test.ts',
  },
  {
    without: 'the owner of a blob (K5)',
    file: 'src/encryption/blob-records.ts',
    text: 'if (!isOwnBlob(found, accountId) || !kinds.includes(found.value.kind))',
    replacement: 'if (!kinds.includes(found.value.kind))',
    test: 'test/security/owner-writer.test.ts',
    title: 'record that says it is another account',
  },
  {
    without: 'the kind of a blob (K5)',
    file: 'src/encryption/blob-records.ts',
    text: 'if (!isOwnBlob(found, accountId) || !kinds.includes(found.value.kind))',
    replacement: 'if (!isOwnBlob(found, accountId))',
    test: 'test/security/owner-writer.test.ts',
    title: 'a blob of another kind',
  },
]

const LEASES: readonly Mutation[] = [
  {
    without: 'the timer of a lease (K6)',
    file: 'src/encryption/key-lease.ts',
    text: '      this.#wake(asked + this.#leaseMs)\n',
    replacement: '',
    test: 'src/encryption/plaintext-holds.test.ts',
  },
  {
    without: 'the comparison of clocks that tells sleep',
    file: 'src/encryption/lease-clock.ts',
    text: '    if (missed > TOLERANCE_MS) this.#slept += missed\n',
    replacement: '',
    test: 'src/encryption/lease-clock.test.ts',
  },
  {
    without: 'the end of what holds plaintext, when its lease is over (K3, K4)',
    file: 'src/encryption/plaintext-holds.ts',
    text: 'const GRACE_MS = 250\n',
    replacement: 'const GRACE_MS = 3_600_000\n',
    test: 'src/encryption/plaintext-holds.test.ts',
  },
  {
    without: 'the end of what holds plaintext, when the vault refuses (K3, K4)',
    file: 'src/encryption/plaintext-holds.ts',
    text: '    for (const hold of held.holds) hold.end(error)\n',
    replacement: '',
    test: 'src/encryption/plaintext-holds.test.ts',
  },
  {
    without: 'leaving a throttling vault alone',
    file: 'src/encryption/vault-key.ts',
    text: 'if (left > 0) throw throttled(place, left)',
    replacement: 'if (left > Infinity) throw throttled(place, left)',
    test: 'test/truth/vault-in-trouble.test.ts',
  },
  {
    without: 'one refusal for a request (D3)',
    file: 'src/encryption/until-refused.ts',
    text: '      isRefused = true\n',
    replacement: '',
    test: 'src/encryption/until-refused.test.ts',
  },
]

const OTHERS: readonly Mutation[] = [
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
    without: 'closing a folder that is open to others',
    file: 'src/store/folder-modes.ts',
    text: '(found.mode & 0o077) === 0',
    replacement: '(found.mode & 0o077) >= 0',
    test: 'test/security/process.test.ts',
    title: 'a data folder that others may read',
  },
  {
    without: 'the self-check of the FIPS provider (R02)',
    file: 'src/crypto/fips.ts',
    text: "return approved && !md5 ? 'active' : 'broken'",
    replacement: "return approved || !md5 ? 'active' : 'active'",
    test: 'test/security/fips.test.ts',
    title: 'doctor says that no FIPS provider',
  },
  {
    without: 'known answers at start',
    file: 'src/cloud/start.ts',
    text: '  checkKnownAnswers()\n',
    replacement: '',
    test: 'test/security/known-answers.test.ts',
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

/** `npm run mutate` applies each; docs/mutations.md is what it found last. */
export const MUTATIONS: readonly Mutation[] = [...STORE, ...KEYS, ...LEASES, ...OTHERS]
