import assert from 'node:assert/strict'
import { after, describe, test } from 'node:test'
import { Azure, MANAGE } from '../support/azure.ts'
import { noBrowser, openBrowser, signedIn } from '../support/browser.ts'
import { cloudFor } from '../support/cloud.ts'

const DAY_SECONDS = 86_400

/** What the portal shows where it is empty, waits, fails, or is entered by a deep link. */
describe('the states of the portal', { skip: noBrowser }, async () => {
  if (noBrowser !== false) return
  const cloud = await cloudFor({ after })
  const azure = await Azure.in(cloud.endpoints)
  const browser = await openBrowser()
  after(() => browser.close())
  const { subscriptionId, portal, resourceManager } = cloud.endpoints
  const group = `/resource/subscriptions/${subscriptionId}/resourceGroups/${azure.group}/providers`
  const accountAt = (page = ''): string => `${group}/Microsoft.CognitiveServices/accounts/contoso${page}`
  const vaultAt = (page = ''): string => `${group}/Microsoft.KeyVault/vaults/kv-states${page}`
  const page = await signedIn(browser, cloud.endpoints)
  page.setDefaultTimeout(10_000)
  const open = (path: string): Promise<unknown> => page.goto(`${portal}${path}`)
  const button = (name: string) => page.getByRole('button', { name, exact: true })
  const dialog = () => page.getByRole('dialog')

  test('a new cloud says what to begin with', async () => {
    await page.getByText('There is no resource yet').waitFor()
    await page.getByText('There is no key vault yet').waitFor()
    await page.getByText('Nothing: every customer-managed key can be used').waitFor()
    await page.getByRole('link', { name: 'Deleted resources' }).click()
    await page.getByText('No key vault is deleted.').waitFor()
    await page.getByText('No resource is deleted.').waitFor()
  })

  test('each list of a new resource and a new vault says what is to be done', async () => {
    await azure.account('contoso')
    const objectId = await azure.administratorUserId()
    await azure.vault('kv-states', { accessPolicies: [] })
    await azure.policy('kv-states', 'add', objectId, MANAGE)
    for (const [path, text] of [
      [accountAt('/files'), 'No files yet. Upload'],
      [accountAt('/fine-tuning'), 'No jobs yet. Upload'],
      [accountAt('/deployments'), 'Nothing is deployed yet. Deploy'],
      [accountAt('/protected'), 'Nothing is stored here'],
      [vaultAt('/keys'), 'There are no keys yet. Generate'],
      [vaultAt('/keys'), 'No deleted keys.'],
      [vaultAt('/audit'), 'No key of this vault has wrapped or unwrapped anything yet.'],
    ] as const) {
      await open(path)
      await page.getByText(text).waitFor()
    }
  })

  test('while an answer is slow, the page says what it loads', async () => {
    await page.route(/\/files(\?|$)/, async route => {
      await new Promise(resolve => setTimeout(resolve, 1500))
      await route.continue()
    })
    await open(accountAt('/files'))
    await page.getByText('Loading files…').waitFor()
    await page.getByText('No files yet').waitFor()
    await page.unroute(/\/files(\?|$)/)
  })

  test('of many rows a hundred are shown, and more on demand', async () => {
    const many = await azure.account('many')
    for (let n = 0; n < 104; n += 1) await many.upload('one of many', `${n}.jsonl`)
    await open(`${group}/Microsoft.CognitiveServices/accounts/many/files`)
    await page.getByText('100 of 104').waitFor()
    const rows = page.getByRole('table', { name: 'Files' }).locator('tbody tr')
    assert.equal(await rows.count(), 100)
    await button('Show more').click()
    await rows.nth(103).waitFor()
  })

  test('a key that was regenerated meanwhile is fetched anew', async () => {
    for (const keyName of ['Key1', 'Key2'])
      await azure.arm('POST', `${azure.accountPath('many')}/regenerateKey`, { keyName })
    await button('Refresh').click()
    await button('Delete 103.jsonl').click()
    await dialog().getByRole('button', { name: 'Delete' }).click()
    await dialog().waitFor({ state: 'hidden' })
    await page.getByRole('cell', { name: '103.jsonl', exact: true }).waitFor({ state: 'hidden' })
    await azure.arm('PATCH', azure.accountPath('many'), { properties: { disableLocalAuth: true } })
    await page.reload()
    await page.getByText('102.jsonl').waitFor()
    await open(`${group}/Microsoft.CognitiveServices/accounts/many/keys`)
    await page.getByRole('alert').getByText('disableLocalAuth').waitFor()
  })

  test('a page begins at its top, with the focus in it', async () => {
    await page.evaluate('scrollTo(0, 5000)')
    await page.getByRole('link', { name: 'OwnKey' }).click()
    await page.getByRole('link', { name: 'many', exact: true }).click()
    await page.getByRole('heading', { name: 'many | Overview' }).waitFor()
    await page.locator('#content:focus').waitFor()
    assert.equal(await page.evaluate<number>('scrollY'), 0)
  })

  test('a page that breaks says so, and leaves the others alone', async () => {
    await page.route(/\/assets\/truth-table-.*\.js$/, route => route.abort())
    await page.getByRole('link', { name: 'Truth table' }).click()
    await page.getByRole('heading', { name: 'This page can’t be shown' }).waitFor()
    await page.getByRole('link', { name: 'OwnKey' }).click()
    await page.getByRole('heading', { name: 'Needs attention' }).waitFor()
    await page.unrouteAll({ behavior: 'ignoreErrors' })
  })

  test('for something that does not exist the server`s message and the request id are shown', async () => {
    await open(`${group}/Microsoft.CognitiveServices/accounts/nobody`)
    const alert = page.getByRole('alert')
    await alert.getByText('ResourceNotFound').waitFor()
    await alert.getByText(/Request id [0-9a-f-]{36}/).waitFor()
    await open(accountAt('/no-such-page'))
    await alert.getByText("There is no page 'no-such-page' here").waitFor()
    await open('/nowhere')
    await page.getByRole('heading', { name: 'There is no such page' }).waitFor()
    await page.getByRole('link', { name: 'Go to Home' }).click()
    await page.getByRole('heading', { name: 'Needs attention' }).waitFor()
  })

  test('a user who may not list the keys of a vault sees why, with the request id', async () => {
    await azure.vault('kv-closed')
    await open(`${group}/Microsoft.KeyVault/vaults/kv-closed/keys`)
    const alert = page.getByRole('alert').first()
    await alert.getByText('does not have keys list permission').waitFor()
    await alert.getByText(/Request id [0-9a-f-]{36}/).waitFor()
  })

  test('where no answer comes, it says so and offers to try again', async () => {
    const isManagement = (url: URL): boolean => url.origin === resourceManager
    await page.route(isManagement, route => route.abort())
    await open(accountAt())
    const alert = page.getByRole('alert')
    await alert.getByText(/can't be reached/).waitFor({ timeout: 20_000 })
    await alert.getByText('there is no request id').waitFor()
    await page.unroute(isManagement)
    await button('Try again').click()
    await page.getByText('Pricing tier').waitFor()
  })

  test('a deep link leads through the sign-in to its page, and the back button through the pages', async () => {
    const elsewhere = await signedIn(browser, cloud.endpoints, { path: vaultAt('/policies') })
    await elsewhere.getByRole('heading', { name: 'kv-states | Access policies' }).waitFor()
    assert.equal(new URL(elsewhere.url()).pathname, vaultAt('/policies'))
    await elsewhere.getByRole('link', { name: 'Keys', exact: true }).click()
    await elsewhere.getByRole('heading', { name: 'kv-states | Keys' }).waitFor()
    await elsewhere.getByRole('link', { name: 'OwnKey' }).click()
    await elsewhere.getByRole('link', { name: 'contoso' }).click()
    for (const heading of ['Needs attention', 'kv-states | Keys', 'kv-states | Access policies']) {
      await elsewhere.goBack()
      await elsewhere.getByRole('heading', { name: heading }).waitFor()
    }
    await elsewhere.goForward()
    await elsewhere.getByRole('heading', { name: 'kv-states | Keys' }).waitFor()
    assert.equal(await elsewhere.title(), 'kv-states · Keys - OwnKey')
    await elsewhere.context().close()
  })

  test('R12: the date of expiry is set and cleared, and Home warns before it comes', async () => {
    const account = await azure.account('contoso')
    await open(vaultAt('/keys'))
    await button('Generate/Import').click()
    await dialog().getByLabel('Name').fill('ends')
    await dialog().getByRole('button', { name: 'Create' }).click()
    await page.getByRole('link', { name: 'ends' }).click()
    await azure.policy('kv-states', 'add', account.principalId)
    await account.encrypt({ vault: 'kv-states', name: 'ends' })
    const soon = new Date(Date.now() + 10.5 * DAY_SECONDS * 1000).toISOString().slice(0, 16)
    await page.getByRole('button', { name: /^Expiration of version/ }).click()
    await dialog().getByLabel('Set expiration date').check()
    await dialog().getByRole('textbox', { name: 'Expiration date' }).fill(soon)
    await dialog().getByRole('button', { name: 'Save' }).click()
    await dialog().waitFor({ state: 'hidden' })
    await open('/')
    await page.getByText('The version of ends that contoso uses expires in 10 days.').waitFor()
    await page.getByRole('link', { name: 'Rotate it or move the date' }).click()
    await page.getByRole('button', { name: /^Expiration of version/ }).click()
    await dialog().getByLabel('Set expiration date').uncheck()
    await dialog().getByRole('button', { name: 'Save' }).click()
    await dialog().waitFor({ state: 'hidden' })
    await open('/')
    await page.getByText('Nothing: every customer-managed key can be used').waitFor()
  })

  test('a policy for a user through one application is created, shown, edited and deleted as such', async () => {
    await open(vaultAt('/policies'))
    await button('Create').click()
    await button('Key management').click()
    await dialog().getByRole('button', { name: 'Next' }).click()
    await dialog()
      .getByLabel(/Search by name/)
      .fill(cloud.endpoints.administrator.userName)
    await dialog().getByRole('radio').first().check()
    await dialog().getByRole('button', { name: 'Next' }).click()
    await dialog()
      .getByRole('radio', { name: /^OwnKey administrator/ })
      .check()
    await dialog().getByRole('button', { name: 'Previous' }).click()
    await dialog().getByRole('button', { name: 'Next' }).click()
    await dialog().getByRole('button', { name: 'Next' }).click()
    await dialog().getByText('OwnKey administrator').waitFor()
    await dialog().getByRole('button', { name: 'Create' }).click()
    await dialog().waitFor({ state: 'hidden' })
    await button('Edit Administrator through OwnKey administrator').click()
    await dialog().getByLabel('Backup', { exact: true }).uncheck()
    await dialog().getByRole('button', { name: 'Next' }).click()
    await dialog().getByRole('button', { name: 'Save' }).click()
    await dialog().waitFor({ state: 'hidden' })
    const { body } = await azure.arm('GET', azure.vaultPath('kv-states'), undefined, '2023-07-01')
    const policies = body.properties.accessPolicies as { applicationId?: string; permissions: { keys: string[] } }[]
    assert.equal(policies.length, 3)
    const compound = policies.filter(({ applicationId }) => applicationId !== undefined)
    assert.equal(compound.length, 1)
    assert.ok(compound[0]?.permissions.keys.includes('create') && !compound[0].permissions.keys.includes('backup'))
  })

  test('R05: the audit page shows who wrapped and unwrapped, and finds records by text', async () => {
    await open(vaultAt('/audit'))
    const lanes = page.getByRole('figure', { name: 'Wrap and unwrap by caller' })
    await lanes.getByRole('img', { name: /^contoso: \d+ wrapped, \d+ unwrapped/ }).waitFor()
    await page.getByLabel('Filter').fill('VaultPut')
    await page.getByRole('cell', { name: 'VaultPut' }).waitFor()
    await page.getByLabel('Filter').fill('nothing has this')
    await page.getByText('No record holds these words').waitFor()
  })

  test('R32: a subscription shows what a change of directory would break', async () => {
    const made = await azure.armRoot('POST', '/providers/OwnKey.Directory/tenants?api-version=2026-01-01', {
      properties: { displayName: 'Fabrikam' },
    })
    await open(accountAt())
    await page.getByRole('link', { name: subscriptionId }).click()
    await page.getByLabel('Directory ID to move to').fill(made.body.properties.tenantId)
    await button('Check').click()
    const findings = page.getByRole('table', { name: 'What the change would break' })
    await findings.getByRole('row', { name: /CustomerManagedKeyStops accounts contoso/ }).waitFor()
    await findings.getByRole('row', { name: /IdentityLeftBehind accounts contoso/ }).waitFor()
    await page.getByLabel('Directory ID to move to').fill('nowhere')
    await button('Check').click()
    await page
      .getByRole('alert')
      .getByText(/Request id/)
      .waitFor()
  })

  test('R21: a deleted vault is named on Home, and recovered on the page that the step leads to', async () => {
    await open(vaultAt())
    await button('Delete').click()
    await dialog().getByRole('button', { name: 'Delete' }).click()
    await page.getByText(/contoso can't use its key ends \(VaultNotFound\)/).waitFor({ timeout: 20_000 })
    await page.getByRole('link', { name: 'Recover the vault' }).click()
    await button('Recover kv-states').click()
    await page.getByText('No key vault is deleted.').waitFor()
    await open('/')
    await page.getByRole('link', { name: 'kv-states' }).waitFor()
  })
})
