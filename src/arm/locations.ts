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

/** Display names of the locations. */
export const LOCATIONS: Readonly<Record<string, { displayName: string; geography: string; paired?: string }>> = {
  westeurope: { displayName: 'West Europe', geography: 'Europe', paired: 'northeurope' },
  northeurope: { displayName: 'North Europe', geography: 'Europe', paired: 'westeurope' },
  eastus: { displayName: 'East US', geography: 'US', paired: 'westus' },
  eastus2: { displayName: 'East US 2', geography: 'US', paired: 'centralus' },
  swedencentral: { displayName: 'Sweden Central', geography: 'Europe', paired: 'swedensouth' },
  southcentralus: { displayName: 'South Central US', geography: 'US', paired: 'northcentralus' },
  uksouth: { displayName: 'UK South', geography: 'UK', paired: 'ukwest' },
  australiaeast: { displayName: 'Australia East', geography: 'Asia Pacific', paired: 'australiasoutheast' },
  japaneast: { displayName: 'Japan East', geography: 'Asia Pacific', paired: 'japanwest' },
}
