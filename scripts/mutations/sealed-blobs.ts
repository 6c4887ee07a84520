import type { Mutation } from './mutation.ts'

/** What is stored and read under data keys. */
export const SEALED_BLOBS: readonly Mutation[] = [
  {
    without: 'the lease under a download that goes on (R22)',
    file: 'src/encryption/sealed-blobs.ts',
    text: '        if (hold !== undefined) await leases.check(record.accountId, hold)\n',
    replacement: '',
    test: 'src/encryption/sealed-blobs.test.ts',
  },
  {
    without: 'the lease under an upload that goes on (R20)',
    file: 'src/encryption/sealed-blobs.ts',
    text: "      if (kind !== 'deployment') await this.#ring.leases.keys(accountId)\n",
    replacement: '',
    test: 'src/encryption/sealed-blobs.test.ts',
  },
  {
    without: 'the data key under which a blob is committed (R26)',
    file: 'src/encryption/sealed-blobs.ts',
    text: 'return generation === 0 ? [] : heldBy(accountId, generation)',
    replacement: 'return generation === 0 ? [] : heldBy(accountId, generation).slice(0, 0)',
    test: 'src/encryption/sealed-blobs.test.ts',
  },
  {
    without: 'the recorded size of a blob',
    file: 'src/encryption/sealed-blobs.ts',
    text: 'if (content.size !== record.size)',
    replacement: 'if (content.size < 0)',
    test: 'src/encryption/sealed-blobs.test.ts',
  },
  {
    without: 'a file of its own for each attempt to seal a blob anew',
    file: 'src/encryption/sealed-blobs.ts',
    text: 'fileOfAttempt(blobId, generation, attempt)',
    replacement: "fileOfAttempt(blobId, generation, '00000000')",
    test: 'src/encryption/sealed-blobs.test.ts',
  },
  {
    without: 'the account in the derivation of a deployment`s key (R27)',
    file: 'src/encryption/sealed-blobs.ts',
    text: "'ownkey/v1/deployment', Buffer.from(accountId))",
    replacement: "'ownkey/v1/deployment', Buffer.from(accountId.slice(0, 0)))",
    test: 'src/encryption/sealed-blobs.test.ts',
  },
  {
    without: 'the account and blob that a blob key is wrapped for (R27)',
    file: 'src/encryption/sealed-blobs.ts',
    text: "encodeContext('blob key', context.accountId, context.kind, context.blobId, context.generation)",
    replacement: "encodeContext('blob key', context.kind)",
    test: 'src/encryption/sealed-blobs.test.ts',
  },
  {
    without: 'files of records that were changed outside, kept at start (R26)',
    file: 'src/encryption/start-up.ts',
    text: 'return isWhole ? { kept, going } : undefined',
    replacement: 'return isWhole || kept.size >= 0 ? { kept, going } : undefined',
    test: 'src/encryption/start-up.test.ts',
  },
  {
    without: 'the owner of a blob that is removed with its account (K5)',
    file: 'src/encryption/sealed-blobs.ts',
    text: '(isOwn ? this.#unlink(stored.value) : undefined)',
    replacement: 'this.#unlink(stored.value)',
    test: 'test/security/removing-writer.test.ts',
  },
]
