import { badParameter } from './errors.ts'
import { addDuration, approximateDays, parseDuration, type Duration } from './duration.ts'
import type { KeyVersion, LifetimeAction, LifetimeActionType, RotationPolicy } from './key-record.ts'

/** Azure's answer for a key whose policy was never set. */
export const DEFAULT_LIFETIME_ACTIONS: readonly LifetimeAction[] = [
  { trigger: { timeBeforeExpiry: 'P30D' }, action: { type: 'Notify' } },
]

const MIN_EXPIRY_DAYS = 28
const MIN_ROTATION_DAYS = 7

/** Azure's limits: at most one action of each type, expiry of 28 days or more, rotation 7 days or more from creation and from expiry. @throws 400 */
export function checkRotationPolicy(policy: Pick<RotationPolicy, 'lifetimeActions' | 'expiryTime'>): void {
  const { lifetimeActions, expiryTime } = policy
  const expiry = expiryTime === undefined ? undefined : duration(expiryTime, 'attributes.expiryTime')
  if (expiry !== undefined && approximateDays(expiry) < MIN_EXPIRY_DAYS) {
    throw badParameter(
      `'attributes.expiryTime' must be at least ${MIN_EXPIRY_DAYS} days (P28D).`,
      'attributes.expiryTime',
    )
  }
  if (
    lifetimeActions.length > 2 ||
    new Set(lifetimeActions.map(({ action }) => action.type)).size < lifetimeActions.length
  ) {
    throw badParameter("'lifetimeActions' takes at most two actions: one Rotate and one Notify.", 'lifetimeActions')
  }
  for (const [index, action] of lifetimeActions.entries())
    checkAction(action, `lifetimeActions.${index}.trigger`, expiry)
}

function checkAction({ trigger, action }: LifetimeAction, at: string, expiry: Duration | undefined): void {
  const { timeAfterCreate, timeBeforeExpiry } = trigger
  const text = timeAfterCreate ?? timeBeforeExpiry
  if (text === undefined || (timeAfterCreate !== undefined && timeBeforeExpiry !== undefined)) {
    throw badParameter("A trigger has either 'timeAfterCreate' or 'timeBeforeExpiry'.", at)
  }
  const field = `${at}.${timeAfterCreate === undefined ? 'timeBeforeExpiry' : 'timeAfterCreate'}`
  const days = approximateDays(duration(text, field))
  if (timeBeforeExpiry !== undefined && expiry === undefined && action.type === 'Rotate') {
    throw badParameter("'timeBeforeExpiry' needs 'attributes.expiryTime': without it no version expires.", field)
  }
  if (action.type === 'Rotate' && days < MIN_ROTATION_DAYS) {
    throw badParameter(`'${field}' must be at least ${MIN_ROTATION_DAYS} days (P7D).`, field)
  }
  if (expiry !== undefined && days > approximateDays(expiry) - (action.type === 'Rotate' ? MIN_ROTATION_DAYS : 0)) {
    throw badParameter(`'${field}' does not fit into the lifetime that 'attributes.expiryTime' gives a version.`, field)
  }
}

function duration(text: string, field: string): Duration {
  const parsed = parseDuration(text)
  if (parsed !== undefined) return parsed
  throw badParameter(`'${field}' must be an ISO 8601 duration of years, months or days, for example P90D.`, field)
}

/** Milliseconds since 1970 when the action is due for this version; undefined when never. */
export function dueTime(
  policy: Pick<RotationPolicy, 'lifetimeActions'>,
  type: LifetimeActionType,
  version: KeyVersion,
): number | undefined {
  const trigger = policy.lifetimeActions.find(({ action }) => action.type === type)?.trigger
  if (trigger?.timeAfterCreate !== undefined) {
    const after = parseDuration(trigger.timeAfterCreate)
    return after === undefined ? undefined : addDuration(version.created * 1000, after)
  }
  if (trigger?.timeBeforeExpiry === undefined || version.exp === undefined) return undefined
  const before = parseDuration(trigger.timeBeforeExpiry)
  return before === undefined ? undefined : addDuration(version.exp * 1000, before, -1)
}

/** Seconds since 1970 when a version made now (milliseconds) expires under the policy; undefined when never. */
export function expiryOfNewVersion(policy: RotationPolicy | undefined, now: number): number | undefined {
  const lifetime = policy?.expiryTime === undefined ? undefined : parseDuration(policy.expiryTime)
  return lifetime === undefined ? undefined : Math.floor(addDuration(now, lifetime) / 1000)
}
