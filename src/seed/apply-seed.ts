import { seedAccounts, seedDeployments, seedEncryption } from './accounts.ts'
import { seedDirectories } from './directories.ts'
import { seedPlaces } from './places.ts'
import { seedRoles } from './roles.ts'
import { SeedClient, type SeedAccess } from './seed-client.ts'
import type { Seed } from './seed-file.ts'
import { SeedRun, type SeedReport } from './seed-run.ts'
import { SeedSecrets } from './seed-secrets.ts'
import { seedVaults } from './vaults.ts'

/**
 * Makes what the cloud lacks, changes what differs, and deletes nothing. Applying the same file again changes nothing.
 * Everything goes through the public APIs as the tenants' administrators. @throws at the first refusal, with its line
 */
export async function applySeed(
  seed: Seed,
  given: {
    readonly access: SeedAccess
    readonly dataDir: string
    readonly environment: Readonly<Record<string, string | undefined>>
  },
): Promise<SeedReport> {
  const { access, dataDir, environment } = given
  const client = new SeedClient(access)
  try {
    const secrets = await SeedSecrets.open(dataDir)
    const run = new SeedRun(seed, { client, secrets, environment })
    const directories = await seedDirectories(run, seed.content)
    const places = await seedPlaces(run, directories)
    // An account needs its identity before it gets access, and its access before its key.
    await seedAccounts(run, places)
    await seedVaults(run, places)
    await seedRoles(run, places)
    await seedEncryption(run, places)
    await seedDeployments(run, places)
    return { ...run.report(), ...(secrets.isEmpty ? {} : { secretsFile: secrets.file }) }
  } finally {
    client.close()
  }
}
