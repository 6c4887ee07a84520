import { spawnSync } from 'node:child_process'
import { rm } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { makeScratchFolder } from '../base/scratch-folder.ts'
import { startCloudProcess, type CloudProcess } from '../harness/cloud-process.ts'
import { DemoScene } from './demo-scene.ts'
import { BASE_MODEL, buildCloud, cleanUp, revoke, rotate, train, upload } from './story.ts'
import { bold, heading, say, summary } from './terminal.ts'

const LEASE_SECONDS = 5
const SMALL =
  'These are answers of 1.6 million parameters. With a real model (98 MB to fetch): ./ownkey demo --base smollm2'

/** Plays the article's story against a cloud of its own. Resolves to the exit code: 0 when every claim was proven. */
export async function runDemo(options: {
  keep: boolean
  base: string | undefined
  /** For `start`. */
  words: readonly string[]
}): Promise<number> {
  const started = performance.now()
  const dataDir = await makeScratchFolder('ownkey-demo-')
  let cloud: CloudProcess | undefined
  process.stdout.write(`${bold('OwnKey')}: data at rest under the customer's own key, from upload to deletion\n`)
  try {
    heading(1, 'Start the cloud: Entra, Resource Manager, Key Vault, Azure OpenAI')
    if (options.base !== undefined) addBase(options.base, dataDir)
    cloud = await startCloudProcess(dataDir, ['--key-lease-seconds', String(LEASE_SECONDS), ...options.words])
    say(`one HTTPS port of loopback (${cloud.endpoints.port}), ready in ${(cloud.startMs / 1000).toFixed(1)} s`)
    say(`all that it keeps lies in ${dataDir}`)
    const scene = new DemoScene(cloud.endpoints, dataDir)
    const keyVersion = await buildCloud(scene)
    const uploaded = await upload(scene)
    const model = await train(scene, keyVersion, uploaded.marv)
    if (options.base === undefined) say(SMALL)
    await rotate(scene)
    await revoke(scene, uploaded, model, LEASE_SECONDS)
    await cleanUp(scene, uploaded, model)
    summary(scene.proofs)
    const failed = scene.proofs.filter(({ holds }) => !holds).length
    say(
      `${failed === 0 ? 'All of it holds' : `${failed} claim(s) do NOT hold`}, in ${((performance.now() - started) / 1000).toFixed(0)} s.`,
    )
    return failed === 0 ? 0 : 1
  } finally {
    await cloud?.stop()
    if (options.keep) say(`kept: ${dataDir}`)
    else await rm(dataDir, { recursive: true, force: true })
  }
}

/** The base gets the name by which the story asks for one. @throws Error with what `models add` says */
function addBase(source: string, dataDir: string): void {
  const cli = fileURLToPath(new URL('../cli.ts', import.meta.url))
  const words = ['models', 'add', source, '--data-dir', dataDir, '--alias', BASE_MODEL]
  const { status, stdout, stderr } = spawnSync(process.execPath, [cli, ...words], { encoding: 'utf8' })
  if (status !== 0) throw new Error(stderr.replace(/^ownkey: /, '').trim())
  say(`base model ${/^Added (.* parameters)/.exec(stdout)?.[1] ?? source}`)
}
