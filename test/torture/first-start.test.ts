import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { Random } from '../support/random.ts'
import { TortureCloud } from './cloud.ts'
import { noPowerCut, PowerCut } from './power-cut.ts'

/** Both lose the CA where its folder is not synced. */
const SEEDS = [7, 8]

for (const seed of SEEDS) {
  test(
    `a power cut right after the first start said that it is ready leaves the same cloud (seed ${seed})`,
    { skip: noPowerCut },
    async t => {
      const parent = await mkdtemp(join(tmpdir(), 'ownkey-first-'))
      t.after(() => rm(parent, { recursive: true, force: true }))
      const folder = join(parent, 'cloud')
      const cut = await PowerCut.over(folder)
      const first = await TortureCloud.in(folder, ['--port', '0'], cut.env)
      const before = await first.ready()
      await first.kill()
      await cut.happen(new Random(seed))
      const second = await TortureCloud.in(folder, ['--port', String(before.port)])
      t.after(() => second.kill())
      const after = await second.ready()
      assert.deepEqual(after.administrator, before.administrator)
      assert.equal(after.subscriptionId, before.subscriptionId)
    },
  )
}
