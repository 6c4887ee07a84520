import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { test } from 'node:test'
import { ended } from './command-line.fixture.ts'
import { strangeFolder } from './strange-folder.fixture.ts'

/** Starts the cloud of a copy in its folder `cloud`; resolves when it is ready, to what stops it. */
async function started(folder: string): Promise<() => Promise<void>> {
  const child = spawn(process.execPath, ['src/cli.ts', 'start', '--data-dir', 'cloud', '--port', '0'], {
    cwd: folder,
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  for await (const line of createInterface(child.stdout)) if (line.startsWith('Stop it')) break
  child.stdout.resume()
  return async () => {
    child.kill('SIGTERM')
    if (child.exitCode === null) await once(child, 'exit')
  }
}

test('whatever its folder is called: the portal, programs under run, and what az and others are told', async t => {
  const folder = await strangeFolder(t)
  const stop = await started(folder)
  try {
    await looksRight(folder)
  } finally {
    await stop()
  }
})

async function looksRight(folder: string): Promise<void> {
  const script = (text: string) => ended(spawn('sh', ['-c', text, process.execPath], { cwd: folder }))
  const ownkey = (words: string) => script(`"$0" src/cli.ts ${words}`)

  await writeFile(
    join(folder, 'asks.mjs'),
    `const { portal } = JSON.parse((await import('node:fs')).readFileSync('cloud/endpoints.json', 'utf8'))
const page = await fetch(portal)
console.log(page.status, page.headers.get('content-type'))\n`,
  )
  const run = await ownkey('run --data-dir cloud asks.mjs')
  assert.deepEqual([run.err, run.out], ['', '200 text/html; charset=utf-8\n'])

  const shell = await script(`eval "$("$0" src/cli.ts env --data-dir cloud)"; printf %s "$SSL_CERT_FILE"`)
  assert.deepEqual([shell.err, shell.out], ['', join(folder, 'cloud/ca/ca.pem')])
  const az = await ownkey('env --data-dir cloud --format az')
  const [, line] = /^(export PYTHONPATH=.*?) #/ms.exec(az.out) ?? []
  if (line !== undefined) {
    const { out } = await script(`${line}; printf %s "$PYTHONPATH"`)
    assert.equal((await stat(join(out, 'sitecustomize.py'))).isFile(), true, out)
  }
  const doctor = await ownkey('doctor --data-dir cloud')
  const [, told] = /^ +(node --import .*) app\.js$/m.exec(doctor.out) ?? []
  if (told !== undefined) assert.equal((await script(`${told.replace('node', '"$0"')} -p 1`)).out, '1\n')
}
