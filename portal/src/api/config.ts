/** `/config.json`, about the cloud that serves this page. */
export interface CloudConfig {
  readonly tenantId: string
  readonly clientId: string
  readonly authority: string
  readonly resourceManager: string
  readonly graph: string
  readonly keyVaultSuffix: string
  readonly openAiSuffix: string
  readonly location: string
  readonly clockControl: boolean
}

let loaded: CloudConfig | undefined

export async function loadConfig(): Promise<CloudConfig> {
  const response = await fetch('/config.json', { cache: 'no-store' })
  if (!response.ok) throw new Error(`The portal's configuration can't be read (${response.status}).`)
  loaded = (await response.json()) as CloudConfig
  return loaded
}

/** @throws before `loadConfig` has resolved */
export function config(): CloudConfig {
  if (loaded === undefined) throw new Error('The configuration is not loaded.')
  return loaded
}
