import { privateDecrypt, privateEncrypt } from 'node:crypto'
import { parentPort } from 'node:worker_threads'
import type { PrivateKeyJob } from './private-key-workers.ts'

// A thread of private-key-workers.ts, for the private-key operations of node:crypto that block their thread.
parentPort?.on('message', ({ id, operation, key, padding, input }: PrivateKeyJob & { id: number }) => {
  try {
    const output = (operation === 'decrypt' ? privateDecrypt : privateEncrypt)({ key, padding }, input)
    parentPort?.postMessage({ id, output }, [])
    output.fill(0)
  } catch {
    // Knowing the check that failed helps an attacker to decrypt (Bleichenbacher 1998, Manger 2001), so OpenSSL's reason stays here.
    parentPort?.postMessage({ id }, [])
  }
})
