import { rm } from 'node:fs/promises'
import { makeScratchFolder } from '../base/scratch-folder.ts'
import { startCloudProcess, type CloudProcess } from '../harness/cloud-process.ts'
import { DemoScene } from './demo-scene.ts'
import { buildCloud, cleanUp, revoke, rotate, train, upload } from './story.ts'
import { bold, heading, say, summary } from './terminal.ts'

const LEASE_SECONDS = 5

/** Plays the article's story against a cloud of its own. Resolves to the exit code: 0 when every claim was proven. */
export async function runDemo(options: { keep: boolean }): Promise<number> {
  const started = performance.now()
  const dataDir = await makeScratchFolder('ownkey-demo-')
  let cloud: CloudProcess | undefined
  process.stdout.write(`${bold('OwnKey')}: data at rest under the customer's own key, from upload to deletion\n`)
  try {
    heading(1, 'Start the cloud: Entra, Resource Manager, Key Vault, Azure OpenAI')
    cloud = await startCloudProcess(dataDir, ['--key-lease-seconds', String(LEASE_SECONDS)])
    say(`one HTTPS port of loopback (${cloud.endpoints.port}), ready in ${(cloud.startMs / 1000).toFixed(1)} s`)
    say(`all that it keeps lies in ${dataDir}`)
    const scene = new DemoScene(cloud.endpoints, dataDir)
    const keyVersion = await buildCloud(scene)
    const uploaded = await upload(scene)
    const model = await train(scene, keyVersion, uploaded.marv)
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
