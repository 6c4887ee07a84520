import { AzureError } from '../http/errors.ts'
import type { Call } from '../http/route.ts'

/** The call's `api-version`. @throws 400 MissingApiVersionParameter, InvalidApiVersionParameter */
export function apiVersion(call: Call): string {
  const version = call.query.get('api-version')
  if (version === undefined || version === '') {
    throw new AzureError(
      'MissingApiVersionParameter',
      400,
      "The api-version query parameter (?api-version=) is required for all requests. Add it, for example '?api-version=2025-04-01'.",
    )
  }
  if (!isVersion(version)) {
    throw new AzureError(
      'InvalidApiVersionParameter',
      400,
      `The api-version '${version.slice(0, 32)}' is invalid: it must be a date such as '2025-04-01', with an optional '-preview'.`,
    )
  }
  return version
}

/** A day of the calendar, with or without `-preview`. */
export function isVersion(text: string): boolean {
  const day = /^(20\d\d-\d\d-\d\d)(-preview)?$/.exec(text)?.[1]
  const time = day === undefined ? Number.NaN : Date.parse(day)
  return !Number.isNaN(time) && new Date(time).toISOString().startsWith(`${day}T`)
}
