import type { Route } from '../http/route.ts'
import type { Outcome } from './audited.ts'
import { dataRoutes, type DataContext } from './data-route.ts'
import { findVersion } from './find-version.ts'
import { checkUsable, type CryptoOperation } from './key-rules.ts'
import type { CryptoRequest, CryptoResult } from './key-module.ts'
import { cryptoBody, verifyBody, type CryptoBody } from './key-requests.ts'
import type { KeyVaultServices } from './services.ts'
import { kid } from './wire-keys.ts'

const OPERATIONS: Readonly<Record<Exclude<CryptoOperation, 'verify'>, string>> = {
  encrypt: 'KeyEncrypt',
  decrypt: 'KeyDecrypt',
  sign: 'KeySign',
  wrapKey: 'KeyWrap',
  unwrapKey: 'KeyUnwrap',
}

/** The six operations with a key. Without a version in the path they use the newest. */
export function cryptoRoutes(services: KeyVaultServices): Route[] {
  const pathsOf = (operation: string): string[] => {
    const segment = operation.toLowerCase()
    return [`/keys/:name/${segment}`, `/keys/:name/:version/${segment}`]
  }
  const all = Object.entries(OPERATIONS) as [Exclude<CryptoOperation, 'verify'>, string][]
  return [
    ...all.flatMap(([operation, operationName]) =>
      dataRoutes(services, {
        method: 'POST',
        paths: pathsOf(operation),
        operationName,
        permission: operation,
        body: cryptoBody,
        run: (context, body) => transform(context, operation, body),
      }),
    ),
    ...dataRoutes(services, {
      method: 'POST',
      paths: pathsOf('verify'),
      operationName: 'KeyVerify',
      permission: 'verify',
      body: verifyBody,
      run: async (context, { alg, digest, value }) => {
        const { id, result } = await perform(context, 'verify', { alg, value: digest, signature: value })
        return { body: { value: result.value[0] === 1 }, id, properties: { algorithm: alg } }
      },
    }),
  ]
}

async function transform(context: DataContext, operation: CryptoOperation, body: CryptoBody): Promise<Outcome> {
  const { alg, value, iv, aad, tag } = body
  const request: CryptoRequest = {
    alg,
    value,
    ...(iv === undefined ? {} : { iv }),
    ...(aad === undefined ? {} : { aad }),
    ...(tag === undefined ? {} : { tag }),
  }
  const { id, result } = await perform(context, operation, request)
  return {
    body: {
      kid: id,
      value: result.value.toString('base64url'),
      ...(result.iv === undefined ? {} : { iv: result.iv.toString('base64url') }),
      ...(result.tag === undefined ? {} : { tag: result.tag.toString('base64url') }),
      ...(result.aad === undefined ? {} : { aad: result.aad.toString('base64url') }),
    },
    id,
    properties: { algorithm: alg },
  }
}

async function perform(
  context: DataContext,
  operation: CryptoOperation,
  request: CryptoRequest,
): Promise<{ id: string; result: CryptoResult }> {
  const { services, call, vault, now } = context
  const { key, version } = await findVersion(context)
  checkUsable(version.value, operation, now)
  const usable = await services.materials.open(vault, key.value.name, version.value)
  const result = await usable.perform(operation, request)
  return { id: kid(call.origin, key.value.name, version.value.version), result }
}
