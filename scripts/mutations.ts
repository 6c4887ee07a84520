import { CRYPTO } from './mutations/crypto.ts'
import { DISK } from './mutations/disk.ts'
import { KEY_RING } from './mutations/key-ring.ts'
import { KEYVAULT } from './mutations/keyvault.ts'
import { LEASES } from './mutations/leases.ts'
import type { Mutation } from './mutations/mutation.ts'
import { OTHERS } from './mutations/others.ts'
import { SEALED_BLOBS } from './mutations/sealed-blobs.ts'
import { STORE } from './mutations/store.ts'

export type { Mutation } from './mutations/mutation.ts'

/** `npm run mutate` applies each; docs/mutations.md is what it found last. */
export const MUTATIONS: readonly Mutation[] = [
  ...CRYPTO,
  ...KEYVAULT,
  ...KEY_RING,
  ...LEASES,
  ...SEALED_BLOBS,
  ...STORE,
  ...DISK,
  ...OTHERS,
]
