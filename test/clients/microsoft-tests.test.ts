import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { Azure } from '../support/azure.ts'
import { cloudFor, type TestCloud } from '../support/cloud.ts'

/*
 * The compiled tests inside older versions of Microsoft's packages (MIT). They are downloaded once into a cache below node_modules and
 * run as they are. This repository has no copy of them.
 */
interface Suite {
  readonly package: string
  readonly version: string
  readonly file: string
  /** Whether the file marks one of its tests with `only`. */
  readonly only?: true
  /** Tests that fail here, each with what it needs that is out of scope. */
  readonly failing: Readonly<Record<string, string>>
}

const DAVINCI = 'deploys text-davinci-003, which is not among the models here'
const OPENAI = {
  'should deploy a davinci model in that account': DAVINCI,
  'should list deployments and delete a deployment': `needs the deployment of the test before: that ${DAVINCI}`,
}
const SUITES: readonly Suite[] = [
  { package: '@azure/arm-keyvault', version: '3.1.0', file: 'keyvault_examples.js', failing: {} },
  {
    package: '@azure/arm-resources',
    version: '5.2.0',
    file: 'resources_examples.js',
    failing: {
      'tagsOperations delete test': 'expects the 24 tag names that its authors have in their own subscription',
      'resources list test': 'expects solutions of Microsoft.OperationsManagement, a service that is not here',
    },
  },
  {
    package: '@azure/arm-authorization',
    version: '9.0.0',
    file: 'authorization_operations_test.spec.js',
    only: true,
    failing: {},
  },
  ...['7.5.0', '7.6.0'].flatMap(version => [
    {
      package: '@azure/arm-cognitiveservices',
      version,
      file: 'cognitiveservices_congitiveservice.spec.js',
      failing: {},
    },
    { package: '@azure/arm-cognitiveservices', version, file: 'cognitiveservices_openai.spec.js', failing: OPENAI },
  ]),
]

const run = promisify(execFile)
const root = fileURLToPath(new URL('../..', import.meta.url))
const cache = join(root, 'node_modules/.cache/microsoft-tests')
const alias = (suite: Suite): string => `${suite.package.replace('@azure/', '')}-${suite.version}`
const fileOf = (suite: Suite): string => join(cache, 'node_modules', alias(suite), 'dist-esm/test', suite.file)
const skip = await download()

/** For `{ skip }`: why the packages are not here. */
async function download(): Promise<string | false> {
  if (SUITES.every(suite => existsSync(fileOf(suite)))) return false
  await mkdir(cache, { recursive: true })
  await writeFile(join(cache, 'package.json'), '{"private":true}')
  const wanted = SUITES.map(suite => `${alias(suite)}@npm:${suite.package}@${suite.version}`)
  const options = ['--ignore-scripts', '--no-audit', '--no-fund', '--prefix', cache]
  return run('npm', ['install', ...options, ...new Set(wanted)], { cwd: cache, timeout: 120_000 }).then(
    () => false as const,
    () => 'the packages could not be downloaded: this test needs the npm registry once',
  )
}

/** Runs one of Microsoft's files in a process of its own. Resolves to the result of each test, and its output. */
async function play(suite: Suite, cloud: TestCloud): Promise<{ passed: string[]; failed: string[]; said: string }> {
  const { authority, tenantId, subscriptionId, administrator, resourceManager, caCertificate } = cloud.endpoints
  const imports = ['src/http/localhost.mjs', 'test/support/microsoft-tests.hooks.ts'].map(path => join(root, path))
  const env = {
    PATH: process.env['PATH'],
    AZURE_AUTHORITY_HOST: authority,
    AZURE_TENANT_ID: tenantId,
    AZURE_CLIENT_ID: administrator.clientId,
    AZURE_CLIENT_SECRET: administrator.clientSecret,
    SUBSCRIPTION_ID: subscriptionId,
    RESOURCE_MANAGER: resourceManager,
    NODE_EXTRA_CA_CERTS: caCertificate,
  }
  const args = [...imports.flatMap(path => ['--import', path]), ...(suite.only ? ['--test-only'] : [])]
  const said = await run(process.execPath, [...args, '--test-reporter=tap', fileOf(suite)], {
    cwd: root,
    env,
    timeout: 120_000,
    maxBuffer: 1 << 26,
  }).then(
    ({ stdout }) => stdout,
    (error: { stdout?: string; stderr?: string }) => `${error.stdout ?? ''}${error.stderr ?? ''}`,
  )
  const named = (outcome: string): string[] =>
    [...said.matchAll(new RegExp(`^ +${outcome} \\d+ - ([^#\\n]+)$`, 'gm'))].map(([, name = '']) => name.trim())
  return { passed: named('ok'), failed: named('not ok'), said }
}

for (const suite of SUITES) {
  test(`the tests inside ${suite.package} ${suite.version}: ${suite.file}`, { skip }, async t => {
    const cloud = await cloudFor(t, ['--location', 'eastus'])
    const azure = new Azure(cloud.endpoints)
    for (const group of ['myjstest', 'openai-shared'])
      await azure.arm('PUT', `/resourceGroups/${group}`, { location: 'eastus' }, '2025-04-01')
    const { passed, failed, said } = await play(suite, cloud)
    t.diagnostic(`${passed.length} passed`)
    for (const name of failed) t.diagnostic(`out of scope: ${name}: ${suite.failing[name] ?? 'NOT LISTED'}`)
    assert.ok(passed.length > 0, said)
    assert.deepEqual(failed.toSorted(), Object.keys(suite.failing).toSorted(), said)
  })
}
