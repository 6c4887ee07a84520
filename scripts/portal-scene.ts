import type { CloudProcess } from '../src/harness/cloud-process.ts'
import { Azure, KEY_PERMISSIONS, MANAGE, pause, untilRefused, type TestAccount } from '../test/support/azure.ts'

const DAY_MS = 86_400_000
/** Names of Azure's maximum length. */
const LONG = 'northwind-traders-with-a-name-as-long-as-the-rules-let-it-be-64'

export interface PortalScene {
  readonly azure: Azure
  /** Paths of resources in the portal. */
  readonly account: (name: string) => string
  readonly vault: (name: string) => string
  readonly long: string
}

/** A cloud in use: resources in every state, long names, many rows. */
export async function portalScene({ endpoints }: CloudProcess): Promise<PortalScene> {
  const azure = await Azure.in(endpoints)
  const contoso = await azure.account('contoso')
  await vault(azure, 'contoso-keys', contoso)
  await inUse(azure, contoso)
  await azure.account('fabrikam', 'None')
  await inTrouble(azure)
  await manyFiles(await azure.account('many'))
  await azure.account('empty')
  await azure.vault('roles-only', { enableRbacAuthorization: true, accessPolicies: [] })
  await azure.vault('unprotected', {
    enablePurgeProtection: undefined,
    networkAcls: { defaultAction: 'Deny', bypass: 'None' },
  })
  const group = `/resource/subscriptions/${endpoints.subscriptionId}/resourceGroups/${azure.group}/providers`
  return {
    azure,
    account: name => `${group}/Microsoft.CognitiveServices/accounts/${name}`,
    vault: name => `${group}/Microsoft.KeyVault/vaults/${name}`,
    long: LONG,
  }
}

async function vault(azure: Azure, name: string, account: TestAccount): Promise<void> {
  const keys = await azure.vault(name, { sku: { family: 'A', name: 'premium' } })
  await azure.policy(name, 'add', await azure.administratorUserId(), [
    ...MANAGE,
    'getrotationpolicy',
    'setrotationpolicy',
  ])
  await azure.policy(name, 'add', account.principalId)
  await keys.createRsaKey('at-rest', { keySize: 2048 })
}

/** Trained and deployed, under a key that was rotated since. */
async function inUse(azure: Azure, contoso: TestAccount): Promise<void> {
  const keys = await azure.vault('contoso-archive')
  await keys.createRsaKey('old', { keySize: 2048 })
  await azure.policy('contoso-archive', 'add', await azure.administratorUserId(), MANAGE)
  await (await keys.beginDeleteKey('old', { intervalInMs: 20 })).pollUntilDone()
  const file = await contoso.upload('for the pictures', 'support-tickets.jsonl')
  const valid = await contoso.upload('for the pictures', 'support-tickets-valid.jsonl')
  await contoso.encrypt({ vault: 'contoso-keys', name: 'at-rest', version: await newest(azure, 'contoso-keys') })
  // Versions are told apart by the second.
  await pause(1100)
  await rotate(azure, 'contoso-keys')
  const hyperparameters = { n_epochs: 12, batch_size: 4 }
  const job = await contoso.train(file, { validation_file: valid, suffix: 'tickets', hyperparameters })
  const { fine_tuned_model: model } = await contoso.jobIs(job, ['succeeded'])
  await contoso.deploy('tickets', model ?? '')
}

/** One without access, one without identity, one whose key expires. */
async function inTrouble(azure: Azure): Promise<void> {
  const revoked = await azure.account(LONG)
  await vault(azure, 'northwind-keys', revoked)
  const file = await revoked.upload(
    'lost for now',
    'a-file-whose-name-goes-on-and-on-and-on-until-nobody-can-tell-what-is-in-it.jsonl',
  )
  await revoked.encrypt({ vault: 'northwind-keys', name: 'at-rest' })
  await azure.policy('northwind-keys', 'remove', revoked.principalId, KEY_PERMISSIONS)
  await untilRefused(() => revoked.download(file))
  const alone = await azure.account('woodgrove')
  await azure.policy('contoso-keys', 'add', alone.principalId)
  await alone.encrypt({ vault: 'contoso-keys', name: 'at-rest' })
  await alone.patch({ identity: { type: 'None' } })
  const ending = await azure.account('tailwind')
  await vault(azure, 'tailwind-keys', ending)
  await ending.encrypt({ vault: 'tailwind-keys', name: 'at-rest' })
  const keys = azure.keys('tailwind-keys')
  await keys.updateKeyProperties('at-rest', { expiresOn: new Date(Date.now() + 5.5 * DAY_MS) })
}

async function manyFiles(many: TestAccount): Promise<void> {
  for (let n = 1; n <= 120; n += 1) await many.upload('one of many', `week-${String(n).padStart(3, '0')}.jsonl`)
}

async function newest(azure: Azure, name: string): Promise<string> {
  const { properties } = await azure.keys(name).getKey('at-rest')
  return properties.version ?? ''
}

const rotate = (azure: Azure, name: string): Promise<unknown> => azure.keys(name).rotateKey('at-rest')
