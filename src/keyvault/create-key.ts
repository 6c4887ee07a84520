import { wipe } from '../crypto/wrap.ts'
import type { Route } from '../http/route.ts'
import type { Outcome } from './audited.ts'
import { dataRoutes, type DataContext } from './data-route.ts'
import { badParameter } from './errors.ts'
import { checkKeyOps, checkTimes, defaultKeyOps } from './key-rules.ts'
import { isHsm, type KeyType } from './key-record.ts'
import type { KeySpec, NewKey } from './key-module.ts'
import { createBody, importBody, type CreateBody, type ImportBody } from './key-requests.ts'
import { addVersion, usableName, type AddedVersion, type VersionDraft } from './new-version.ts'
import { expiryOfNewVersion } from './rotation-policy.ts'
import type { KeyVaultServices } from './services.ts'
import { openTransferBlob } from './transfer-blob.ts'
import { keyBundle, kid } from './wire-keys.ts'

const RSA_SIZES = [2048, 3072, 4096]
const OCT_SIZES = [128, 192, 256]
const EXPONENTS = [3, 17, 257, 65_537]

/** R06: keys are created in the vault, or imported. */
export function createKeyRoutes(services: KeyVaultServices): Route[] {
  return [
    ...dataRoutes(services, {
      method: 'POST',
      paths: ['/keys/:name/create'],
      operationName: 'KeyCreate',
      changes: true,
      permission: 'create',
      body: createBody,
      run: create,
    }),
    ...dataRoutes(services, {
      method: 'PUT',
      paths: ['/keys/:name'],
      operationName: 'KeyImport',
      changes: true,
      permission: 'import',
      body: importBody,
      run: bring,
    }),
  ]
}

async function create(context: DataContext, body: CreateBody): Promise<Outcome> {
  const spec = keySpec(body)
  checkSku(context, body.kty)
  const draft = versionDraft(body.kty, body, body.key_ops)
  const before = await usableName(context)
  const lifetime = expiryOfNewVersion(before?.value.rotationPolicy, context.now)
  const made = await context.services.module.generate(spec)
  return bundled(context, addVersion(context, before, { ...draft, exp: draft.exp ?? lifetime }, made))
}

async function bring(context: DataContext, body: ImportBody): Promise<Outcome> {
  const kty = importedType(body)
  checkSku(context, kty)
  const draft = versionDraft(kty, body, body.key.key_ops)
  const before = await usableName(context)
  const made = await imported(context, kty, body)
  return bundled(context, addVersion(context, before, draft, made))
}

async function imported(context: DataContext, kty: KeyType, { key }: ImportBody): Promise<NewKey> {
  const { module } = context.services
  const { key_ops: _, key_hsm, ...members } = key
  if (key_hsm === undefined) return module.importKey({ ...members, kty })
  if (!isHsm(kty)) throw badParameter(`'key.key_hsm' makes an HSM key: 'key.kty' must be ${kty}-HSM.`, 'key.kty')
  const secret = await openTransferBlob(context, key_hsm)
  try {
    return await module.importSecret(kty, secret)
  } finally {
    wipe(secret)
  }
}

/** The changes to commit and the answer, after a version was added. */
export function bundled({ call, vault }: DataContext, { key, version, changes }: AddedVersion): Outcome {
  return {
    body: keyBundle(call.origin, vault, key, version),
    changes,
    id: kid(call.origin, key.name, version.version),
  }
}

/** @throws 400 BadParameter */
function keySpec(body: CreateBody): KeySpec {
  const { kty, key_size, public_exponent, crv } = body
  if (kty === 'EC' || kty === 'EC-HSM') {
    if (key_size !== undefined && crv === undefined)
      throw badParameter("A key of type EC takes 'crv', no 'key_size'.", 'key_size')
    return { kty, curve: crv ?? 'P-256' }
  }
  if (crv !== undefined) throw badParameter(`A key of type ${kty} has no curve.`, 'crv')
  const [sizes, size] = kty === 'oct-HSM' ? [OCT_SIZES, key_size ?? 256] : [RSA_SIZES, key_size ?? 2048]
  if (!sizes.includes(size))
    throw badParameter(`The size of a key of type ${kty} must be one of ${sizes.join(', ')}.`, 'key_size')
  if (kty === 'oct-HSM') return { kty, size }
  const publicExponent = public_exponent ?? 65_537
  if (EXPONENTS.includes(publicExponent)) return { kty, size, publicExponent }
  throw badParameter(`The public exponent must be one of ${EXPONENTS.join(', ')}.`, 'public_exponent')
}

function importedType(body: ImportBody): KeyType {
  const hsm = body.Hsm === true
  const { kty } = body.key
  if (kty === 'oct') {
    if (hsm) return 'oct-HSM'
    throw badParameter("Symmetric keys are kept as oct-HSM only: set 'Hsm' to true.", 'key.kty')
  }
  return hsm && !isHsm(kty) ? (`${kty}-HSM` as KeyType) : kty
}

/** @throws 400 BadParameter for an HSM key in a standard vault */
export function checkSku({ vault }: Pick<DataContext, 'vault'>, kty: KeyType): void {
  if (!isHsm(kty) || vault.properties.sku.name === 'premium') return
  throw badParameter(
    `Keys of type ${kty} need a vault with the SKU 'premium'; this vault's is '${vault.properties.sku.name}'.`,
    'kty',
  )
}

function versionDraft(
  kty: KeyType,
  body: Pick<CreateBody, 'attributes' | 'tags'>,
  keyOps: readonly string[] | undefined,
): VersionDraft {
  const { enabled = true, nbf, exp, exportable } = body.attributes ?? {}
  checkTimes(nbf, exp)
  const operations = keyOps === undefined || keyOps.length === 0 ? defaultKeyOps(kty) : checkKeyOps(kty, keyOps)
  return { kty, keyOps: operations, enabled, nbf, exp, exportable, tags: body.tags }
}
