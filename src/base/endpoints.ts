import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { checkDataFolder, stoppedCloud } from './data-folder.ts'

/** `endpoints.json`: all that a client needs to know of a running cloud. */
export interface Endpoints {
  readonly port: number
  /** Absolute path of the CA's PEM. */
  readonly caCertificate: string
  /** The same over plain HTTP on loopback, for clients that trust nothing yet. */
  readonly caCertificateUrl: string
  readonly authority: string
  readonly resourceManager: string
  /** For example `.vault.localhost:8443`. */
  readonly keyVaultSuffix: string
  readonly openAiSuffix: string
  readonly portal: string
  readonly instanceMetadata: string
  readonly tenantId: string
  readonly subscriptionId: string
  readonly location: string
  readonly administrator: {
    readonly clientId: string
    readonly clientSecret: string
    /** The same rights for a person, who signs in to the portal. */
    readonly userName: string
    readonly password: string
  }
}

export function endpointsFile(dataDir: string): string {
  return join(dataDir, 'endpoints.json')
}

/** @throws with what to do when no cloud runs in the folder */
export async function readEndpoints(dataDir: string): Promise<Endpoints> {
  const file = endpointsFile(dataDir)
  const text = await readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => error)
  if (text instanceof Error) {
    // This says more about a folder that is not there, or that this user may not read.
    await checkDataFolder(dataDir)
    throw text.code === 'ENOENT' ? stoppedCloud(dataDir) : text
  }
  try {
    return JSON.parse(text) as Endpoints
  } catch (error) {
    throw new Error(`${file} is damaged. Stop the cloud and start it again: that writes it anew.`, { cause: error })
  }
}
