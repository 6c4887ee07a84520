import type { Page } from 'playwright-core'
import type { PortalScene } from './portal-scene.ts'

export interface State {
  readonly name: string
  readonly path: string
  /** Brings the page into the state. */
  readonly act?: (page: Page) => Promise<unknown>
}

const press = (name: string) => (page: Page) => page.getByRole('button', { name, exact: true }).click()
const dialogPress = (page: Page, name: string) =>
  page.getByRole('dialog').getByRole('button', { name, exact: true }).click()

/** States of the pages with dialogs, missing data, errors or many rows. */
export function statesOf({ account, vault, long }: PortalScene): State[] {
  return [
    ...encryptionStates({ account, long }),
    ...dataStates(account, long),
    ...vaultStates(vault),
    ...faults(account),
  ]
}

function encryptionStates({ account, long }: Pick<PortalScene, 'account' | 'long'>): State[] {
  return [
    {
      name: 'encryption-chosen',
      path: `${account('fabrikam')}/encryption`,
      act: async page => {
        await page.getByLabel('Customer Managed Keys').check()
        await page.getByLabel('Select from Key Vault').check()
        await page.getByRole('combobox', { name: 'Key vault' }).selectOption({ label: 'contoso-keys' })
        await page.getByRole('combobox', { name: 'Key', exact: true }).selectOption('at-rest')
        await page.getByText('The key may wrap and unwrap').getByText('(met)').waitFor()
      },
    },
    {
      name: 'encryption-not-met',
      path: `${account('fabrikam')}/encryption`,
      act: async page => {
        await page.getByLabel('Customer Managed Keys').check()
        await page.getByLabel('Select from Key Vault').check()
        await page.getByRole('combobox', { name: 'Key vault' }).selectOption({ label: 'unprotected' })
      },
    },
    {
      name: 'encryption-refused',
      path: `${account('empty')}/encryption`,
      act: async page => {
        await page.getByLabel('Customer Managed Keys').check()
        await page.getByRole('textbox', { name: 'Key URI' }).fill('https://nobody.vault.localhost/keys/at-rest')
        await press('Save')(page)
        await page.getByRole('alert').waitFor()
      },
    },
    { name: 'encryption-microsoft', path: `${account('empty')}/encryption` },
    { name: 'encryption-unavailable', path: `${account(long)}/encryption` },
    { name: 'encryption-identity-off', path: `${account('woodgrove')}/encryption` },
    { name: 'encryption-update', path: `${account('contoso')}/encryption`, act: press('Update version') },
    { name: 'encryption-re-encrypt', path: `${account('contoso')}/encryption`, act: press('Re-encrypt') },
    {
      name: 'encryption-disable',
      path: `${account('contoso')}/encryption`,
      act: async page => {
        await page.getByLabel('Microsoft Managed Keys').check()
        await press('Save')(page)
      },
    },
    {
      name: 'identity-asks',
      path: `${account('contoso')}/identity`,
      act: async page => {
        await page.getByLabel('Off', { exact: true }).check()
        await press('Save')(page)
      },
    },
    { name: 'identity-off', path: `${account('woodgrove')}/identity` },
  ]
}

function dataStates(account: PortalScene['account'], long: string): State[] {
  return [
    { name: 'files-empty', path: `${account('empty')}/files` },
    { name: 'files-many', path: `${account('many')}/files` },
    { name: 'files-long-name', path: `${account(long)}/files` },
    {
      name: 'files-refused',
      path: `${account('empty')}/files`,
      act: async page => {
        const buffer = Buffer.from('not json\n{"messages": []}\n{"messages": [{"role": "user"}]}')
        await page
          .getByLabel('Training file')
          .setInputFiles({ name: 'bad.jsonl', mimeType: 'application/jsonl', buffer })
        await page.getByRole('alert').waitFor()
      },
    },
    { name: 'deployments-create', path: `${account('contoso')}/deployments`, act: press('Deploy model') },
    {
      name: 'deployments-chat',
      path: `${account('contoso')}/deployments`,
      act: async page => {
        await press('Try it: tickets')(page)
        await page.getByLabel('Message').fill('Say number 3.')
        await press('Send')(page)
        await page.waitForTimeout(1500)
      },
    },
    { name: 'fine-tuning-create', path: `${account('contoso')}/fine-tuning`, act: press('Create a job') },
    { name: 'fine-tuning-empty', path: `${account('empty')}/fine-tuning` },
    {
      name: 'protected-proven',
      path: `${account('contoso')}/protected`,
      act: async page => {
        await press('Prove')(page)
        await page.getByText('Opened', { exact: true }).first().waitFor()
      },
    },
  ]
}

function vaultStates(vault: PortalScene['vault']): State[] {
  const policies = `${vault('contoso-keys')}/policies`
  const steps = (count: number) => async (page: Page) => {
    await press('Create')(page)
    await dialogPress(page, 'Customer-managed key')
    for (let step = 0; step < count; step += 1) {
      await dialogPress(page, 'Next')
      if (step > 0) continue
      await page.getByLabel(/Search by name/).fill('contoso')
      await page.getByRole('radio').first().check()
    }
  }
  return [
    { name: 'policies-roles', path: `${vault('roles-only')}/policies` },
    { name: 'policies-step-1', path: policies, act: steps(0) },
    { name: 'policies-step-2', path: policies, act: steps(1) },
    { name: 'policies-step-3', path: policies, act: steps(2) },
    { name: 'policies-step-4', path: policies, act: steps(3) },
    { name: 'keys-create', path: `${vault('contoso-keys')}/keys`, act: press('Generate/Import') },
    { name: 'keys-deleted', path: `${vault('contoso-archive')}/keys` },
    { name: 'keys-refused', path: `${vault('unprotected')}/keys` },
    {
      name: 'key-expiry',
      path: `${vault('tailwind-keys')}/keys/at-rest`,
      act: page => page.getByRole('button', { name: /^Expiration/ }).click(),
    },
    { name: 'key-rotation', path: `${vault('contoso-keys')}/keys/at-rest`, act: press('Rotation policy') },
    { name: 'networking-closed', path: `${vault('unprotected')}/networking` },
    { name: 'vault-delete', path: vault('contoso-keys'), act: press('Delete') },
  ]
}

function faults(account: PortalScene['account']): State[] {
  return [
    { name: 'no-such-resource', path: account('nobody') },
    { name: 'no-such-page', path: '/nowhere' },
    { name: 'home-create', path: '/', act: press('Create resource') },
    {
      name: 'loading',
      path: `${account('contoso')}/files`,
      act: async page => {
        await page.route(/openai\/v1\/files/, () => {})
        await page.reload({ waitUntil: 'commit' })
        await page.getByText('Loading files…').waitFor()
      },
    },
    {
      name: 'unreachable',
      path: account('contoso'),
      act: async page => {
        await page.route(/management\.localhost/, route => route.abort())
        await page.reload()
        await page.getByRole('alert').waitFor()
      },
    },
  ]
}
