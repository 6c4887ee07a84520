import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { startEngineProcess } from './engine-process.ts'
import { EngineLost, type LossReason } from './failures.ts'

const file = new URL('./idle.child.ts', import.meta.url)

/** @param stuckSeconds how long it may work without progress. @param memory bytes */
async function outcome(type: string, stuckSeconds: number, memory?: number): Promise<unknown> {
  const engine = startEngineProcess(file, 'engine', { patience: { silentSeconds: 5, stuckSeconds }, memory })
  try {
    await engine.send({ type })
    return (await engine.next()).header
  } catch (error) {
    return error
  } finally {
    engine.kill()
    await engine.ended
  }
}

const lost = (error: unknown): [LossReason, string] => {
  assert.ok(error instanceof EngineLost, String(error))
  return [error.reason, error.message]
}

test('an engine without progress is ended after its time, one with progress is not', async () => {
  const [stuck, slow, hangs] = await Promise.all([outcome('stuck', 3), outcome('slow', 6), outcome('hangs', 60)])
  assert.deepEqual(lost(stuck), ['hung', 'the engine got nothing done for 3 s and was ended'])
  assert.deepEqual(slow, { type: 'done' })
  assert.deepEqual(lost(hangs), ['hung', 'the engine gave no sign of life for 5 s and was ended'])
})

test('an engine that crashes or closes its pipe is lost, and the error says how it ended', async () => {
  const [reason, message] = lost(await outcome('throws', 60))
  assert.equal(reason, 'crashed')
  assert.match(message, /the engine ended with code 1 \(Error: so be it\)/u)
  assert.deepEqual(lost(await outcome('closes', 60)), ['crashed', 'the engine closed its pipe and was ended'])
})

test(
  'an engine that takes more memory than it may is ended at once, and the reason is memory',
  { skip: process.platform === 'linux' ? false : 'Linux alone says how much a process has' },
  async () => {
    const memory = 256 * 1024 * 1024
    const [grows, takes] = await Promise.all([outcome('grows', 60, memory), outcome('takes', 60, memory)])
    const why = 'the engine used more than the 256 MiB of memory that one engine may, and was ended'
    assert.deepEqual(lost(grows), ['memory', why])
    assert.deepEqual(lost(takes), ['memory', 'the engine ended with code 1, because memory ran out'])
  },
)

/** Starts an engine, stops it as soon as Node.js begins in it, and dies. Resolves to the engine's process id. */
async function stoppedOrphan(): Promise<number> {
  const module = new URL('./engine-process.ts', import.meta.url).href
  const source = `import { readFileSync } from 'node:fs'
    import { startEngineProcess } from '${module}'
    const { pid } = startEngineProcess(new URL('${file.href}'), 'engine')
    setInterval(() => {
      if (/^(sh|setpriv)/.test(readFileSync('/proc/' + pid + '/comm', 'latin1'))) return
      process.kill(pid, 'SIGSTOP')
      process.stdout.write(String(pid), () => process.kill(process.pid, 'SIGKILL'))
    }, 1)`
  const owner = spawn(process.execPath, ['--input-type=module', '-e', source], { stdio: ['ignore', 'pipe', 'inherit'] })
  let said = ''
  owner.stdout.on('data', (chunk: Buffer) => (said += chunk.toString()))
  await once(owner, 'close')
  return Number(said)
}

/** Neither gone nor a zombie: https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html */
function isAlive(pid: number): boolean {
  try {
    return !/^\d+ \(.*\) [ZX]/u.test(readFileSync(`/proc/${pid}/stat`, 'utf8'))
  } catch {
    return false
  }
}

test(
  'an engine ends with its owner, also one that was stopped while it started',
  { skip: process.platform === 'linux' ? false : 'Linux alone ends a stopped process with its parent' },
  async () => {
    const pid = await stoppedOrphan()
    assert.ok(pid > 1)
    for (let looks = 0; isAlive(pid) && looks < 40; looks++) await sleep(50)
    const lives = isAlive(pid)
    if (lives) process.kill(-pid, 'SIGKILL')
    assert.equal(lives, false)
  },
)
