import type { FipsState } from '../crypto/fips-module.ts'
import { json } from '../http/respond.ts'
import type { Route } from '../http/route.ts'

/** Whether the cloud answers, and on which FIPS provider. Strangers may know that. */
export function healthRoute({ status, module }: FipsState): Route {
  const known = module === undefined ? {} : { module: module.name, version: module.version }
  return {
    host: 'management',
    method: 'GET',
    path: '/health',
    auth: 'none',
    reason: 'monitors ask it without an identity, and it says nothing of what is stored',
    maxBody: 0,
    handler: () => json({ status: 'ok', fips: { status, ...known } }),
  }
}
