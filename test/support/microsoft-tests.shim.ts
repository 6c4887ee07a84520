import nodeAssert from 'node:assert'
import { ClientSecretCredential } from '@azure/identity'

/*
 * What the tests inside Microsoft's packages import: @azure-tools/test-recorder and @azure-tools/test-credential, which are not in a
 * registry, and the few parts of chai that they use. Nothing is recorded or played back, so every call goes to the cloud.
 */
export const env = process.env

export const isPlaybackMode = (): boolean => false

export class Recorder {
  async start(): Promise<void> {}
  async stop(): Promise<void> {}
  configureClientOptions(options: object): object {
    const endpoint = env['RESOURCE_MANAGER'] ?? ''
    return { ...options, endpoint, credentialScopes: `${endpoint}/.default` }
  }
}

export function createTestCredential(): ClientSecretCredential {
  const { AZURE_TENANT_ID = '', AZURE_CLIENT_ID = '', AZURE_CLIENT_SECRET = '' } = env
  return new ClientSecretCredential(AZURE_TENANT_ID, AZURE_CLIENT_ID, AZURE_CLIENT_SECRET, {
    disableInstanceDiscovery: true,
  })
}

export const assert = Object.assign((value: unknown): void => nodeAssert.ok(value), {
  equal: (actual: unknown, expected: unknown): void => nodeAssert.equal(actual, expected),
  notEqual: (actual: unknown, expected: unknown): void => nodeAssert.notEqual(actual, expected),
  isTrue: (value: unknown): void => nodeAssert.equal(value, true),
  isFalse: (value: unknown): void => nodeAssert.equal(value, false),
})
