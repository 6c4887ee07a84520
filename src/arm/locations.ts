import { AzureError } from '../http/errors.ts'

/** `West Europe` and `westeurope` are one. @throws 400 LocationNotAvailable */
export function checkLocation(location: string, locations: readonly string[]): string {
  const name = location.toLowerCase().replaceAll(' ', '')
  if (locations.includes(name)) return name
  throw new AzureError(
    'LocationNotAvailable',
    400,
    `The location '${location.slice(0, 64)}' is not available. This cloud's locations: ${locations.join(', ')}.`,
  )
}
