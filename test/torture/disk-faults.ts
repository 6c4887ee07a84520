import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdtemp, rename, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { moment, type Fault, type Prepared } from './fault.ts'
import { noPowerCut } from './power-cut.ts'

/** The numbers of https://man7.org/linux/man-pages/man3/errno.3.html on Linux. */
const [EIO, ENOSPC] = [5, 28]
/** Calls that need room. */
const NEED_ROOM = 'write,truncate,mkdir,open'
const source = fileURLToPath(new URL('../faults/failing-disk.c', import.meta.url))
const unable =
  noPowerCut !== false ? noPowerCut : existsSync(source) ? false : 'test/faults/failing-disk.c is not there'

/** Calls fail by rules in a file, which a preloaded library reads: see failing-disk.c. */
async function prepare(strike: (failBy: (rule: string) => Promise<void>) => Prepared['strike']): Promise<Prepared> {
  const folder = await mkdtemp(join(tmpdir(), 'ownkey-failing-'))
  const [library, rules] = [join(folder, 'failing-disk.so'), join(folder, 'rules')]
  const words = ['-O2', '-shared', '-fPIC', '-o', library, source, '-ldl', '-lpthread']
  const { status, stderr } = spawnSync('gcc', words, { encoding: 'utf8' })
  if (status !== 0) throw new Error(`failing-disk.c does not compile: ${stderr}`)
  const failBy = async (rule: string): Promise<void> => {
    await writeFile(`${rules}.next`, rule)
    await rename(`${rules}.next`, rules)
  }
  await failBy('')
  return {
    env: { LD_PRELOAD: library, OWNKEY_TEST_FAULTS: rules },
    strike: strike(failBy),
    leave: () => rm(folder, { recursive: true, force: true }),
    // What it can't do it says, and why.
    mayAnswer: / 50[0-9] |ENOSPC|EIO|ENOENT|disk|full|"level":"error"|not answered/,
  }
}

/** No room for a while. Then there is, and everything has to work by itself. */
export const fullDisk: Fault = {
  name: 'full disk',
  weight: 2,
  unable,
  prepare: () =>
    prepare(failBy => async (cloud, random) => {
      await moment(random)
      await failBy(`${NEED_ROOM} /cloud/ ${ENOSPC} ${1 + random.below(20)} 1000000\n`)
      await moment(random)
      if (random.chance(0.7)) {
        await failBy(' ')
        await moment(random)
      }
      return cloud.kill()
    }),
}

/** A few errors of the disk in writes or syncs. What was acknowledged before and after must still be there. */
export const brokenDisk: Fault = {
  name: 'disk errors',
  weight: 2,
  unable,
  prepare: () =>
    prepare(failBy => async (cloud, random) => {
      await moment(random)
      const calls = random.pick(['write', 'sync', 'rename', 'unlink', 'write,sync'])
      await failBy(`${calls} /cloud/ ${EIO} ${1 + random.below(20)} ${random.pick([1, 3, 1000000])}\n`)
      await moment(random)
      return cloud.kill()
    }),
}
