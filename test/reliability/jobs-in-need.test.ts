import assert from 'node:assert/strict'
import { closeSync, openSync, rmSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { startCloudProcess } from '../../src/harness/cloud-process.ts'
import { Azure, pause } from '../support/azure.ts'
import { cloudFor, LEASE_SECONDS } from '../support/cloud.ts'
import { engineOf, engineProcesses } from '../support/engine-processes.ts'
import { messagesOf, resultSteps, untilStep } from '../support/job-steps.ts'
import { littleMemory, noLittleMemory, noSmallDisk, smallDisk } from '../support/small-machine.ts'

const hyperparameters = { n_epochs: 4, batch_size: 1 }
const steps = Array.from({ length: 400 }, (_, index) => index + 1)

test(
  'a job that runs while the disk fills says so, and goes on by itself once there is room',
  { skip: noSmallDisk },
  async () => {
    const disk = smallDisk(64)
    after(() => disk.remove())
    const cloud = await startCloudProcess(disk.path, ['--key-lease-seconds', String(LEASE_SECONDS)])
    after(() => cloud.stop())
    const account = await (await Azure.in(cloud.endpoints)).account('full')
    const file = await account.upload('a full disk', 'train.jsonl', 100)
    const jobId = await account.train(file, { hyperparameters })
    await untilStep(account, jobId, 20)
    const ballast = join(disk.path, 'ballast')
    fill(ballast)
    // Its next write is refused. Its process ends, though nothing can be written about that.
    for (let n = 0; n < 300 && engineProcesses(cloud.pid, 'trainer') > 0; n += 1) await pause(100)
    assert.equal(engineProcesses(cloud.pid, 'trainer'), 0, 'it still trains, and can keep nothing')
    await pause(3000)
    rmSync(ballast)
    await account.jobIs(jobId, ['succeeded'], 150)
    const messages = await messagesOf(account, jobId)
    assert.ok(
      messages.some(message => /interrupted: the service's disk is full/u.test(message)),
      messages.join('\n'),
    )
    assert.deepEqual(await resultSteps(account, jobId), steps)
  },
)

function fill(path: string): void {
  const file = openSync(path, 'w')
  for (const size of [1024 * 1024, 4096, 1]) {
    try {
      for (const piece = Buffer.alloc(size); ;) if (writeSync(file, piece) < size) break
    } catch (error) {
      assert.equal((error as NodeJS.ErrnoException).code, 'ENOSPC')
    }
  }
  closeSync(file)
}

test(
  'a trainer that the kernel ends because memory runs out is tried again, and the event names it',
  { skip: noLittleMemory },
  async () => {
    const cloud = await cloudFor({ after })
    const account = await (await Azure.in(cloud.endpoints)).account('poor')
    const jobId = await account.train(await account.upload('poor', 'train.jsonl', 100), { hyperparameters })
    const group = littleMemory(await engineOf(cloud.pid, 'trainer'), 8)
    await account.jobIs(jobId, ['succeeded'], 120)
    const messages = await messagesOf(account, jobId)
    assert.ok(
      messages.some(message => /ended by the kernel, because memory ran out/u.test(message)),
      messages.join('\n'),
    )
    group.remove()
  },
)
