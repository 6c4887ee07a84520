import assert from 'node:assert/strict'
import { copyFile, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, test } from 'node:test'
import { EMBEDDED_BASE } from '../../src/engines/catalogue.ts'
import { startCloudProcess } from '../../src/harness/cloud-process.ts'
import { ownkey } from '../audit/ownkey.fixture.ts'
import { Azure } from '../support/azure.ts'
import { noBrowser, openBrowser, seriousProblems, signedIn } from '../support/browser.ts'

describe('base models', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'ownkey-base-pages-'))
  after(() => rm(folder, { recursive: true, force: true }))
  const dataDir = join(folder, 'cloud')
  const [mine, gone, strange] = ['mine.gguf', 'gone.gguf', 'strange.gguf'].map(name => join(folder, name)) as [
    string,
    string,
    string,
  ]
  for (const path of [mine, gone]) await copyFile(EMBEDDED_BASE.path, path)
  // As long as the tensor's own name, which only some models have.
  const renamed = (await readFile(mine)).toString('latin1').replace('output_norm.weight', 'output_nurm.weight')
  await writeFile(strange, renamed, 'latin1')
  for (const [path, name, alias] of [
    [mine, 'mine', 'gpt-4o'],
    [gone, 'gone', 'gpt-4.1'],
    [strange, 'strange', 'gpt-4'],
  ] as const)
    assert.equal(
      (
        await ownkey(
          'models',
          'add',
          path,
          '--name',
          name,
          '--alias',
          `${alias},gpt-4o-mini-${name}`,
          '--data-dir',
          dataDir,
        )
      ).code,
      0,
    )
  assert.equal((await ownkey('models', 'add', mine, '--name', 'gpt-35-turbo', '--data-dir', dataDir)).code, 0)
  const cloud = await startCloudProcess(dataDir, ['--key-lease-seconds', '1'])
  after(() => cloud.stop())
  const azure = await Azure.in(cloud.endpoints)
  const account = await azure.account('contoso')
  await account.upload('for a job')
  await rm(gone)
  const at = `/resource/subscriptions/${cloud.endpoints.subscriptionId}${azure.accountPath('contoso')}`

  test('every list of the APIs has each name once, with whether it can be fine-tuned and under which licence', async () => {
    const data = (await account.openai.models.list()).data as unknown as {
      id: string
      base_model: string
      license: string
      capabilities: { fine_tune: boolean; inference: boolean }
    }[]
    const ids = data.map(({ id }) => id)
    assert.deepEqual(ids.toSorted(), [...new Set(ids)].toSorted())
    const of = (id: string) => data.find(one => one.id === id)
    assert.deepEqual(
      [of('gpt-4o')?.base_model, of('gpt-4o')?.license, of('gpt-4o')?.capabilities.fine_tune],
      ['mine', 'mit', true],
    )
    assert.deepEqual([of('gpt-4')?.capabilities.fine_tune, of('gpt-4')?.capabilities.inference], [false, true])
    assert.equal(of('gpt-35-turbo')?.base_model, 'gpt-35-turbo')
    const listed = (await azure.arm('GET', `${azure.accountPath('contoso')}/models`)).body as {
      value: { name: string; capabilities: Record<string, string>; finetuneCapabilities?: object }[]
    }
    assert.deepEqual(
      listed.value.map(({ name }) => name),
      ids,
    )
    const strangeOne = listed.value.find(({ name }) => name === 'gpt-4')
    assert.equal(strangeOne?.capabilities['fineTune'], 'false')
    assert.equal(strangeOne?.capabilities['inference'], 'true')
    assert.equal(strangeOne?.finetuneCapabilities, undefined)
  })

  test('the page has each base with its state, and why one can`t be fine-tuned', { skip: noBrowser }, async () => {
    const browser = await openBrowser()
    after(() => browser.close())
    for (const width of [1280, 390]) {
      const page = await signedIn(browser, cloud.endpoints, { width, path: '/' })
      await page.getByRole('link', { name: 'Base models' }).click()
      const row = (name: string) =>
        page.locator('tr', { has: page.locator('strong', { hasText: new RegExp(`^${name}$`) }) })
      await row('mine').getByText('in order').waitFor()
      await row('mine').getByText('also as gpt-4o, gpt-4o-mini-mine').waitFor()
      await row('gone').getByText('missing: its file is gone').waitFor()
      await row('strange')
        .getByText("no: this trainer does not know the base model's tensor output_nurm.weight")
        .waitFor()
      await row('mine').getByText(EMBEDDED_BASE.sha256).waitFor()
      await page.getByText('./ownkey models add FILE.gguf --data-dir FOLDER').waitFor()
      assert.deepEqual(await seriousProblems(page), [])
      const shots = process.env['SHOTS']
      if (shots !== undefined) await page.screenshot({ path: join(shots, `base-models-${width}.png`), fullPage: true })
      await page.goto(`${cloud.endpoints.portal}${at}/fine-tuning`)
      await page.getByRole('button', { name: 'Create a job' }).first().click()
      const choice = page.getByRole('combobox', { name: 'Model' })
      await choice.locator('option', { hasText: 'gpt-4o (mine)' }).waitFor({ state: 'attached' })
      const offered = await choice.locator('option').allTextContents()
      assert.ok(!offered.includes('strange'), offered.join())
      await choice.selectOption('gpt-4o')
      if (shots !== undefined) await page.screenshot({ path: join(shots, `fine-tune-${width}.png`) })
      await page.goto(`${cloud.endpoints.portal}${at}/deployments`)
      await page.getByRole('button', { name: 'Deploy model' }).first().click()
      await page.getByRole('combobox', { name: 'Model' }).selectOption('gpt-4o')
      if (shots !== undefined) await page.screenshot({ path: join(shots, `deploy-${width}.png`) })
      await page.context().close()
    }
  })
})
