import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startCloudProcess } from '../src/demo/cloud-process.ts'
import { Azure, MANAGE } from '../test/support/azure.ts'
import { buildPortal, openBrowser, signedIn } from '../test/support/browser.ts'
import { ACCOUNT_PAGES, OWN_PAGES, VAULT_PAGES } from '../test/support/portal-pages.ts'

/** Writes a picture of each page of the portal, wide and narrow, light and dark: `npm run portal:shots -- FOLDER`. */
const folder = process.argv[2] ?? 'coverage/portal'
await mkdir(folder, { recursive: true })
buildPortal()
const dataDir = await mkdtemp(join(tmpdir(), 'ownkey-shots-'))
const cloud = await startCloudProcess(dataDir, ['--key-lease-seconds', '1', '--clock-control'])
const browser = await openBrowser()
try {
  const azure = await Azure.in(cloud.endpoints)
  const account = await azure.account('contoso')
  await azure.account('fabrikam-with-a-rather-long-name-for-a-resource', 'None')
  const keys = await azure.vault('contoso-keys', { sku: { family: 'A', name: 'premium' } })
  await azure.policy('contoso-keys', 'add', await azure.administratorUserId(), MANAGE)
  const { properties } = await keys.createRsaKey('at-rest', { keySize: 2048 })
  await keys.createRsaKey('old', { keySize: 2048 })
  await (await keys.beginDeleteKey('old', { intervalInMs: 20 })).pollUntilDone()
  await azure.policy('contoso-keys', 'add', account.principalId)
  const file = await account.upload('for the pictures', 'support-tickets.jsonl')
  const valid = await account.upload('for the pictures', 'support-tickets-valid.jsonl')
  await account.encrypt({ vault: 'contoso-keys', name: 'at-rest', version: properties.version })
  await keys.rotateKey('at-rest')
  const job = await account.train(file, {
    validation_file: valid,
    suffix: 'tickets',
    hyperparameters: { n_epochs: 12, batch_size: 4 },
  })
  const { fine_tuned_model: model } = await account.jobIs(job, ['succeeded'])
  await account.deploy('tickets', model ?? '')
  const { subscriptionId, portal } = cloud.endpoints
  const group = `/resource/subscriptions/${subscriptionId}/resourceGroups/${azure.group}/providers`
  const pages: Record<string, string> = {
    ...Object.fromEntries(OWN_PAGES.map(path => [path.slice(1) || 'home', path])),
    ...Object.fromEntries(
      ACCOUNT_PAGES.map(page => [
        `account-${page || 'overview'}`,
        `${group}/Microsoft.CognitiveServices/accounts/contoso/${page}`,
      ]),
    ),
    ...Object.fromEntries(
      VAULT_PAGES.map(page => [
        `vault-${page.replace('/', '-') || 'overview'}`,
        `${group}/Microsoft.KeyVault/vaults/contoso-keys/${page}`,
      ]),
    ),
  }
  for (const [width, height] of [
    [1280, 800],
    [390, 844],
  ] as const) {
    for (const dark of [false, true]) {
      const page = await signedIn(browser, cloud.endpoints, { width, height, dark })
      for (const [name, path] of Object.entries(pages)) {
        await page.goto(`${portal}${path.replace(/(.)\/$/, '$1')}`)
        await page.locator('#content').waitFor()
        await page.waitForTimeout(700)
        await page.screenshot({ path: join(folder, `${name}-${width}-${dark ? 'dark' : 'light'}.png`), fullPage: true })
      }
      await page.context().close()
    }
  }
} finally {
  await browser.close()
  await cloud.stop()
  await rm(dataDir, { recursive: true, force: true })
}
