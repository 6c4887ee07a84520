import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'

const { href } = new URL('./compile-cache.ts', import.meta.url)

test(
  'what engines load is compiled once beside them, since they can`t keep it themselves',
  { skip: process.platform === 'linux' ? false : 'engines on other systems keep it themselves' },
  async t => {
    const folder = await mkdtemp(join(tmpdir(), 'ownkey-compiled-'))
    t.after(() => rm(folder, { recursive: true, force: true, maxRetries: 50, retryDelay: 200 }))
    const program = `(await import('${href}')).fillCompileCache(); setTimeout(() => {}, 60_000)`
    const start = () =>
      spawn(process.execPath, ['--input-type=module', '-e', program], {
        env: { PATH: process.env['PATH'], NODE_COMPILE_CACHE: folder },
        stdio: 'ignore',
      })
    const entries = async () => (await readdir(folder, { recursive: true })).length
    // Of two services that start at the same time one does it.
    const services = [start(), start()]
    t.after(() => services.map(service => service.kill('SIGKILL')))
    for (let looks = 0; looks < 300 && (await entries()) < 200; looks++) await sleep(100)
    assert.ok((await entries()) >= 200)
    assert.equal((await readdir(folder)).filter(name => name.startsWith('engines-')).length, 1)
  },
)

/** Modules that a file loads when it runs, beside it or below, with those that they load. */
async function loaded(file: string, all = new Set<string>()): Promise<Set<string>> {
  if (all.has(file)) return all
  all.add(file)
  const text = await readFile(file, 'utf8')
  const froms = text.matchAll(/^import (?!type )[^']*'(\.[^']+)'|\bimport\('(\.[^']+)'\)/gm)
  for (const [, named, dynamic] of froms) await loaded(join(file, '..', named ?? dynamic ?? ''), all)
  return all
}

test('all that engines load is among what is compiled beside them, but for their own files', async () => {
  const at = (name: string): string => join(import.meta.dirname, name)
  const compiled = await loaded(at('compile-cache.child.ts'))
  for (const name of ['trainer.child.ts', 'inference.child.ts', 'template.child.ts'])
    assert.deepEqual(
      [...(await loaded(at(name)))].filter(file => !compiled.has(file)),
      [at(name)],
    )
})
