import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { ownkey } from '../audit/ownkey.fixture.ts'
import { cloudFor } from '../support/cloud.ts'

const cli = fileURLToPath(new URL('../../src/cli.ts', import.meta.url))
const folder = await mkdtemp(join(tmpdir(), 'ownkey-run-'))
after(() => rm(folder, { recursive: true, force: true }))

async function program(name: string, text: string): Promise<string> {
  const path = join(folder, name)
  await writeFile(path, text)
  return path
}

test('run runs TypeScript and JavaScript, ES modules and CommonJS, under this Node', async () => {
  const print = 'console.log(JSON.stringify([process.version, process.argv.slice(2)]))\n'
  const words = ['--port', '8443', '-h', '--data-dir', 'a b', '']
  const expected = `${JSON.stringify([process.version, words])}\n`
  for (const [name, text] of [
    ['typed.ts', `const n: number = 1\nexport { n }\n${print}`],
    ['module.mjs', `import 'node:fs'\n${print}`],
    ['common.cjs', `require('node:fs')\n${print}`],
    ["it's a name with spaces.js", print],
  ] as const)
    assert.deepEqual(await ownkey('run', await program(name, text), ...words), {
      code: 0,
      output: expected,
      errors: '',
    })
})

test('a program that runs gives its own exit code and gets the signals', async () => {
  assert.equal((await ownkey('run', await program('seven.ts', 'process.exit(7)\n'))).code, 7)
  const waiting = await program(
    'waiting.ts',
    `process.on('SIGTERM', () => process.exit(9)); setInterval(() => {}, 1000); console.log('waits')\n`,
  )
  const child = spawn(process.execPath, [cli, 'run', waiting], { stdio: ['ignore', 'pipe', 'inherit'] })
  await once(child.stdout, 'data')
  child.kill('SIGTERM')
  assert.deepEqual(await once(child, 'exit'), [9, null])
})

test('with --data-dir a program has the environment of the cloud, trusts its CA and finds its names', async t => {
  const cloud = await cloudFor(t)
  const asking = await program(
    'asking.ts',
    `const manager: string = process.env.OWNKEY_RESOURCE_MANAGER ?? ''
const { status } = await fetch(manager + '/subscriptions?api-version=2022-12-01')
console.log(status, manager, process.env.AZURE_TENANT_ID)\n`,
  )
  const { resourceManager, tenantId } = cloud.endpoints
  const expected = { code: 0, output: `401 ${resourceManager} ${tenantId}\n`, errors: '' }
  assert.deepEqual(await ownkey('run', '--data-dir', cloud.dataDir, asking), expected)
  assert.deepEqual(await ownkey('run', `--data-dir=${cloud.dataDir}`, asking), expected)
})

test('without a program to run, it says what is wrong', async () => {
  const sub = join(folder, 'sub')
  await mkdir(sub)
  for (const [args, error] of [
    [[], 'FILE is missing: the program to run.'],
    [['--data-dir', sub], 'FILE is missing: the program to run.'],
    [['--data-dir'], '--data-dir DIR: the value is missing.'],
    [['--prot', '1', 'a.ts'], "'run' has no option --prot."],
    [[join(folder, 'absent.ts')], `There is no file ${folder}/absent.ts.`],
    [[join(await program('file', ''), 'a.ts')], `There is no file ${folder}/file/a.ts.`],
    [[sub], `${sub} is a folder: name the program in it.`],
  ] as const) {
    const { code, output, errors } = await ownkey('run', ...args)
    assert.deepEqual({ code, output, first: errors.split('\n')[0] }, { code: 2, output: '', first: `ownkey: ${error}` })
  }
  const { code, errors } = await ownkey('run', '--data-dir', sub, await program('any.ts', ''))
  assert.equal(code, 1)
  assert.match(errors, /^ownkey: .* is not the data folder of a cloud/)
})
