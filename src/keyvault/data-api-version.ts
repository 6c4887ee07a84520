import type { Call } from '../http/route.ts'
import { badParameter } from './errors.ts'

/** Every version that the official clients of the keys data plane send. */
const VERSIONS: ReadonlySet<string> = new Set(
  (
    '2016-10-01 7.0 7.1 7.2-preview 7.2 7.3-preview 7.3 7.4-preview.1 7.4 7.5-preview.1 7.5 ' +
    '7.6-preview.1 7.6-preview.2 7.6 2025-06-01-preview 2025-07-01 2026-01-01-preview'
  ).split(' '),
)

/** @throws 400 BadParameter when `api-version` is missing or unknown */
export function checkDataApiVersion(call: Call): void {
  const version = call.query.get('api-version')
  if (version === undefined || version === '') {
    throw badParameter('api-version must be specified, for example ?api-version=7.6', 'api-version')
  }
  if (VERSIONS.has(version.toLowerCase())) return
  throw badParameter(
    `The specified version (${version.slice(0, 32)}) is not recognized. Consider using the latest supported version (2025-07-01).`,
    'api-version',
  )
}
