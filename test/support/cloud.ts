import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { startCloudProcess, type CloudProcess } from '../../src/harness/cloud-process.ts'
import { administratorObjectId, Scene } from '../../src/harness/scene.ts'

/** Seconds that a revocation may take in tests. */
export const LEASE_SECONDS = 1

export interface TestCloud extends CloudProcess {
  readonly dataDir: string
  /** Starts it again in its folder, on its port or another, after a clean end or a kill. */
  restart(how?: 'clean' | 'kill', port?: number): Promise<void>
}

/** A cloud in a process of its own, in a fresh folder, gone after the test. This process trusts its CA and finds its names. */
export async function cloudFor(
  test: TestContext | { after(fn: () => Promise<void>): void },
  args: readonly string[] = [],
): Promise<TestCloud> {
  const dataDir = await mkdtemp(join(tmpdir(), 'ownkey-test-'))
  const lease = args.includes('--key-lease-seconds') ? [] : ['--key-lease-seconds', String(LEASE_SECONDS)]
  let running = await startCloudProcess(dataDir, [...lease, ...args])
  const { endpoints, startMs } = running
  test.after(async () => {
    await running.stop()
    await rm(dataDir, { recursive: true, force: true })
  })
  return {
    startMs,
    get pid() {
      return running.pid
    },
    dataDir,
    stop: () => running.stop(),
    kill: () => running.kill(),
    get ended() {
      return running.ended
    },
    get endpoints() {
      return running.endpoints
    },
    restart: async (how = 'clean', port = endpoints.port) => {
      await (how === 'kill' ? running.kill() : running.stop())
      running = await startCloudProcess(dataDir, [...lease, '--port', String(port), ...args])
    },
  }
}

/** A cloud with a group, an account with an identity, a vault, a key and the policy; `keyVersion` is the key's first version. */
export async function sceneFor(
  test: TestContext | { after(fn: () => Promise<void>): void },
  args: readonly string[] = [],
): Promise<{ scene: Scene; cloud: CloudProcess; dataDir: string; keyVersion: string }> {
  const cloud = await cloudFor(test, args)
  const scene = new Scene(cloud.endpoints, cloud.dataDir)
  await scene.createGroup()
  await scene.createAccount()
  await scene.createVault(await administratorObjectId(cloud.endpoints))
  const key = await scene.keys.createRsaKey(scene.key, { keySize: 2048 })
  await scene.grant()
  return { scene, cloud, dataDir: cloud.dataDir, keyVersion: key.properties.version ?? '' }
}
