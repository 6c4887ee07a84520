import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Page } from 'playwright-core'
import { startCloudProcess } from '../src/harness/cloud-process.ts'
import { Azure } from '../test/support/azure.ts'
import { noBrowser, openBrowser, signedIn } from '../test/support/browser.ts'
import type { Figure } from './figure.ts'

const ROUNDS = 9
const BOUND_SECONDS = 1

/** How long a user waits for the portal: empty cache, signed in, with an account and a vault. */
export async function figures(): Promise<Figure[]> {
  if (noBrowser !== false) return []
  const dataDir = await mkdtemp(join(tmpdir(), 'ownkey-bench-'))
  const cloud = await startCloudProcess(dataDir)
  const browser = await openBrowser()
  try {
    const azure = await Azure.in(cloud.endpoints)
    await azure.account('contoso')
    await azure.vault('contoso-keys')
    const page = await signedIn(browser, cloud.endpoints)
    const network = await page.context().newCDPSession(page)
    await network.send('Network.setCacheDisabled', { cacheDisabled: true })
    const rounds: Round[] = []
    for (let round = 0; round < ROUNDS; round++) rounds.push(await reload(page))
    return [
      figure('portal: first content painted, empty cache', median(rounds.map(({ paint }) => paint))),
      figure('portal: Home with its lists, empty cache', median(rounds.map(({ lists }) => lists))),
    ]
  } finally {
    await browser.close()
    await cloud.stop()
    await rm(dataDir, { recursive: true })
  }
}

/** Seconds from the start of the navigation. */
interface Round {
  readonly paint: number
  readonly lists: number
}

async function reload(page: Page): Promise<Round> {
  await page.reload()
  await page.getByRole('link', { name: 'contoso-keys' }).waitFor()
  await page.getByRole('link', { name: 'contoso', exact: true }).waitFor()
  const lists = (await page.evaluate<number>('performance.now()')) / 1000
  const paint = await page.evaluate<number>(
    "performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? NaN",
  )
  return { paint: paint / 1000, lists }
}

function figure(name: string, value: number): Figure {
  return { name, value, unit: 's', ratio: BOUND_SECONDS / value, against: `a bound of ${BOUND_SECONDS} s` }
}

const median = (values: readonly number[]): number =>
  values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? NaN
