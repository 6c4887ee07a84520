import { AzureError } from '../http/errors.ts'
import type { Route } from '../http/route.ts'
import { dataRoutes } from './data-route.ts'
import { randomBody } from './key-requests.ts'
import type { KeyVaultServices } from './services.ts'

/** Random bytes, and refusals of operations that are not offered here. */
export function otherRoutes(services: KeyVaultServices): Route[] {
  return [
    ...dataRoutes(services, {
      method: 'POST',
      paths: ['/rng'],
      operationName: 'RandomBytesGet',
      permission: 'get',
      body: randomBody,
      run: async (_, { count }) => ({ body: { value: services.env.randomBytes(count).toString('base64url') } }),
    }),
    ...dataRoutes<undefined>(services, {
      method: 'POST',
      paths: ['/keys/:name/release', '/keys/:name/:version/release'],
      operationName: 'KeyRelease',
      permission: 'release',
      maxBody: 256 * 1024,
      run: async () => {
        throw notSupported('Secure key release needs an attested environment and exportable keys')
      },
    }),
    ...dataRoutes<undefined>(services, {
      method: 'GET',
      paths: ['/keys/:name/attestation', '/keys/:name/:version/attestation'],
      operationName: 'KeyGetAttestation',
      permission: 'get',
      run: async () => {
        throw notSupported('Key attestation needs a hardware security module that signs it')
      },
    }),
  ]
}

function notSupported(why: string): AzureError {
  return new AzureError('NotSupported', 400, `${why}: this is not supported here.`)
}
