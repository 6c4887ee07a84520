import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { JobQueue } from './job-queue.ts'

/** A queue whose jobs end when the test says so. `begun` lists them in their order. */
function queueOf(atOnce: number) {
  const begun: string[] = []
  const failures: unknown[] = []
  const ends = new Map<string, (error?: Error) => void>()
  const run = async (recordId: string): Promise<void> => {
    begun.push(recordId)
    await new Promise<void>((resolve, reject) => {
      ends.set(recordId, error => (error === undefined ? resolve() : reject(error)))
    })
  }
  const queue = new JobQueue({ atOnce, log: (_, error) => failures.push(error) })
  queue.start(run)
  const settle = (): Promise<void> => new Promise(resolve => setImmediate(resolve))
  const end = async (recordId: string, error?: Error): Promise<void> => {
    ends.get(recordId)?.(error)
    await settle()
  }
  return { queue, begun, failures, settle, end }
}

describe('the queue of jobs', () => {
  it('takes turns between accounts, so that one with five jobs does not hold up another', async () => {
    const { queue, begun, settle, end } = queueOf(1)
    for (const n of [1, 2, 3, 4, 5]) queue.add(`a/${n}`)
    await settle()
    queue.add('b/1')
    queue.add('c/1')
    queue.add('b/2')
    for (const id of ['a/1', 'b/1', 'c/1', 'a/2', 'b/2', 'a/3', 'a/4', 'a/5']) {
      assert.equal(begun.at(-1), id)
      await end(id)
    }
  })

  it('gives a free worker to the account with the fewest running jobs', async () => {
    const { queue, begun, settle, end } = queueOf(2)
    for (const n of [1, 2, 3]) queue.add(`a/${n}`)
    await settle()
    assert.deepEqual(begun, ['a/1', 'a/2'])
    queue.add('b/1')
    queue.add('b/2')
    await end('a/1')
    assert.equal(begun.at(-1), 'b/1')
    await end('b/1')
    assert.equal(begun.at(-1), 'b/2')
    await end('a/2')
    assert.equal(begun.at(-1), 'a/3')
  })

  it('runs a job that was added while it ran once more, but not twice at a time', async () => {
    const { queue, begun, settle, end } = queueOf(2)
    queue.add('a/1')
    queue.add('a/1')
    await settle()
    assert.deepEqual(begun, ['a/1'])
    await end('a/1')
    assert.deepEqual(begun, ['a/1', 'a/1'])
  })

  it('goes on after a run that failed', async () => {
    const { queue, begun, failures, settle, end } = queueOf(1)
    queue.add('a/1')
    queue.add('a/2')
    queue.add('a/3')
    await settle()
    await end('a/1', new Error('broken'))
    assert.equal(failures.length, 1)
    assert.equal(begun.at(-1), 'a/2')
    const closed = queue.close()
    await end('a/2')
    await closed
    assert.deepEqual(begun, ['a/1', 'a/2'])
  })
})
