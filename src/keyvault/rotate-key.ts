import type { Route } from '../http/route.ts'
import { put, type Stored } from '../store/records.ts'
import type { Outcome } from './audited.ts'
import { bundled } from './create-key.ts'
import { dataRoutes, type DataContext } from './data-route.ts'
import { findKey } from './find-version.ts'
import { keys, type Key, type KeyVersion } from './key-record.ts'
import { checkEnabled } from './key-rules.ts'
import type { KeySpec } from './key-module.ts'
import { rotationPolicyBody } from './key-requests.ts'
import { addVersion, usableName, type AddedVersion } from './new-version.ts'
import { currentVersion } from './read-keys.ts'
import type { KeyVaultServices } from './services.ts'
import { checkRotationPolicy, DEFAULT_LIFETIME_ACTIONS, expiryOfNewVersion } from './rotation-policy.ts'
import type { LifetimeAction, RotationPolicy } from './key-record.ts'
import type { Vault } from './vault-record.ts'

/** R05 R16: rotation, by hand and by policy. */
export function rotateKeyRoutes(services: KeyVaultServices): Route[] {
  const paths = ['/keys/:name/rotationpolicy']
  return [
    ...dataRoutes<undefined>(services, {
      method: 'POST',
      paths: ['/keys/:name/rotate'],
      operationName: 'KeyRotate',
      changes: true,
      permission: 'rotate',
      run: rotate,
    }),
    ...dataRoutes<undefined>(services, {
      method: 'GET',
      paths,
      operationName: 'KeyRotationPolicyGet',
      permission: 'getrotationpolicy',
      run: getPolicy,
    }),
    ...dataRoutes(services, {
      method: 'PUT',
      paths,
      operationName: 'KeyRotationPolicySet',
      changes: true,
      permission: 'setrotationpolicy',
      body: rotationPolicyBody,
      run: setPolicy,
    }),
  ]
}

async function rotate(context: DataContext): Promise<Outcome> {
  const key = await findKey(context)
  await usableName(context)
  const current = await currentVersion(context, key.value)
  checkEnabled(current, 'rotate')
  return bundled(context, await rotated(context, key, current))
}

/** A new version like the newest one, with new key material. `now` in milliseconds: when the version is made. */
export async function rotated(
  place: { services: KeyVaultServices; vault: Vault; now: number },
  key: Stored<Key>,
  current: KeyVersion,
): Promise<AddedVersion> {
  const made = await place.services.module.generate(specOf(current))
  const draft = {
    kty: current.kty,
    keyOps: current.keyOps,
    enabled: true,
    nbf: undefined,
    exp: expiryOfNewVersion(key.value.rotationPolicy, place.now),
    exportable: current.exportable,
    tags: current.tags,
  }
  return addVersion({ ...place, name: key.value.name }, key, draft, made)
}

function specOf({ kty, size, publicPart }: KeyVersion): KeySpec {
  if (kty === 'EC' || kty === 'EC-HSM') return { kty, curve: publicPart.crv ?? 'P-256' }
  if (kty === 'oct-HSM') return { kty, size }
  const exponent = Buffer.from(publicPart.e ?? 'AQAB', 'base64url')
  return { kty, size, publicExponent: exponent.readUIntBE(0, exponent.length) }
}

async function getPolicy(context: DataContext): Promise<Outcome> {
  const { value: key } = await findKey(context)
  return { body: policyBody(context, key) }
}

async function setPolicy(context: DataContext, body: ReturnType<typeof rotationPolicyBody.parse>): Promise<Outcome> {
  const before = await findKey(context)
  const at = Math.floor(context.now / 1000)
  const expiryTime = body.attributes?.expiryTime
  const policy: RotationPolicy = {
    lifetimeActions: (body.lifetimeActions ?? []).map(actionOf),
    ...(expiryTime === undefined ? {} : { expiryTime }),
    created: before.value.rotationPolicy?.created ?? at,
    updated: at,
  }
  checkRotationPolicy(policy)
  const key: Key = { ...before.value, rotationPolicy: policy }
  return { body: policyBody(context, key), changes: [put(keys, before.id, key, before.version)] }
}

type ActionBody = NonNullable<ReturnType<typeof rotationPolicyBody.parse>['lifetimeActions']>[number]

function actionOf({ trigger, action }: ActionBody): LifetimeAction {
  const { timeAfterCreate, timeBeforeExpiry } = trigger
  return {
    trigger: {
      ...(timeAfterCreate === undefined ? {} : { timeAfterCreate }),
      ...(timeBeforeExpiry === undefined ? {} : { timeBeforeExpiry }),
    },
    action: { type: action.type === 'Rotate' ? 'Rotate' : 'Notify' },
  }
}

function policyBody({ call }: DataContext, key: Key): object {
  const { lifetimeActions, expiryTime, created, updated } = key.rotationPolicy ?? {
    lifetimeActions: DEFAULT_LIFETIME_ACTIONS,
  }
  return {
    id: `${call.origin}/keys/${key.name}/rotationpolicy`,
    lifetimeActions,
    attributes: {
      ...(expiryTime === undefined ? {} : { expiryTime }),
      ...(created === undefined ? {} : { created, updated }),
    },
  }
}
