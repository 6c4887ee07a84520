import assert from 'node:assert/strict'
import { after, describe, test } from 'node:test'
import type { Locator } from 'playwright-core'
import { Azure, MANAGE } from '../support/azure.ts'
import { noBrowser, openBrowser, signedIn } from '../support/browser.ts'
import { cloudFor } from '../support/cloud.ts'

const MAX_STEPS = 80

/** The portal without a mouse. */
describe('the portal by keyboard alone', { skip: noBrowser }, async () => {
  if (noBrowser !== false) return
  const cloud = await cloudFor({ after })
  const azure = await Azure.in(cloud.endpoints)
  const account = await azure.account('contoso', 'None')
  const keys = await azure.vault('kv-keyboard')
  await azure.policy('kv-keyboard', 'add', await azure.administratorUserId(), MANAGE)
  await keys.createRsaKey('at-rest', { keySize: 2048 })
  const browser = await openBrowser()
  after(() => browser.close())
  const page = await signedIn(browser, cloud.endpoints)
  page.setDefaultTimeout(10_000)

  const isFocused = (locator: Locator): Promise<boolean> =>
    locator.evaluate(element => element === element.ownerDocument.activeElement).catch(() => false)
  /** Goes on with Tab, or back with Shift+Tab, until the focus is there. */
  const reach = async (locator: Locator, key = 'Tab'): Promise<void> => {
    await locator.waitFor()
    for (let step = 0; step < MAX_STEPS; step += 1) {
      if (await isFocused(locator)) return
      await page.keyboard.press(key)
    }
    const at = await page.locator(':focus').evaluate(element => element.outerHTML.slice(0, 200))
    assert.fail(`not reached in ${MAX_STEPS} steps; the focus is at ${at}`)
  }
  const press = async (locator: Locator, key = 'Enter', way = 'Tab'): Promise<void> => {
    await reach(locator, way)
    await page.keyboard.press(key)
  }
  const link = (name: string) => page.getByRole('link', { name, exact: true })
  const button = (name: string) => page.getByRole('button', { name, exact: true })

  test('the first stop skips to the content', async () => {
    await page.reload()
    await link('contoso').waitFor()
    await page.keyboard.press('Tab')
    assert.ok(await isFocused(link('Skip to the content')))
    await page.keyboard.press('Enter')
    assert.ok(await isFocused(page.locator('#content')))
  })

  test("R15: a customer's key is enabled from Home to Save", async () => {
    await press(link('contoso'))
    await page.getByRole('heading', { name: 'contoso | Overview' }).waitFor()
    await press(page.getByRole('navigation', { name: 'Resource menu' }).getByRole('link', { name: 'Encryption' }))
    await press(page.getByRole('radio', { name: 'Microsoft Managed Keys' }), 'ArrowDown')
    await press(page.getByRole('radio', { name: 'Enter key URI' }), 'ArrowRight')
    await reach(page.getByRole('combobox', { name: 'Key vault' }))
    await page.keyboard.type('kv-keyboard')
    await page.getByRole('combobox', { name: 'Key', exact: true }).getByText('at-rest').waitFor({ state: 'attached' })
    await reach(page.getByRole('combobox', { name: 'Key', exact: true }))
    await page.keyboard.type('at-rest')
    await page.getByText('The key is RSA or RSA-HSM of size 2048').getByText('(met)').waitFor()
    await press(button('Save'), 'Enter', 'Shift+Tab')
    await page.getByText('Saved: the data is under this key.').waitFor()
    assert.equal((await account.encryption()).keyVaultProperties.keyName, 'at-rest')
  })

  test('a dialog keeps the focus, Escape leaves it, and the focus is back where it was', async () => {
    await press(button('Re-encrypt'))
    const dialog = page.getByRole('dialog')
    await dialog.waitFor()
    for (let step = 0; step < 6; step += 1) {
      await page.keyboard.press('Tab')
      assert.ok(await page.locator(':focus').evaluate(element => element.closest('[role=dialog]') !== null))
    }
    await page.keyboard.press('Escape')
    await dialog.waitFor({ state: 'hidden' })
    assert.ok(await isFocused(button('Re-encrypt')))
  })

  test('R14: an access policy is created', async () => {
    await press(link('OwnKey'), 'Enter', 'Shift+Tab')
    await press(link('kv-keyboard'))
    await press(link('Access policies'))
    await press(button('Create'))
    await page.getByRole('dialog').waitFor()
    await press(page.getByRole('checkbox', { name: 'Get', exact: true }), 'Space')
    await page.keyboard.press('Enter')
    await page.getByLabel(/Search by name/).waitFor()
    await page.keyboard.type('OwnKey administrator')
    const principal = page.getByRole('radio', { name: /OwnKey administrator/ })
    await press(principal, 'Space')
    await page.keyboard.press('Enter')
    await press(page.getByRole('dialog').getByRole('button', { name: 'Next' }))
    await press(page.getByRole('dialog').getByRole('button', { name: 'Create' }))
    await page.getByRole('dialog').waitFor({ state: 'hidden' })
    assert.ok(await isFocused(button('Create')))
  })

  test('the theme is chosen from the menu, and is all that the page keeps in local storage', async () => {
    await press(button('Administrator'), 'Enter', 'Shift+Tab')
    await press(page.getByRole('menuitemradio', { name: 'Dark', exact: true }), 'Enter', 'ArrowDown')
    const kept = await page.evaluate<Record<string, string>>('({ ...localStorage })')
    assert.deepEqual(kept, { 'ownkey-theme': 'dark' })
  })
})
