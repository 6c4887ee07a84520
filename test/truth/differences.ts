import { EXPECTED, expectedAnswer } from './expected.ts'
import type { Row } from './play.ts'

/** Differences between a measured row and the table, one line each. */
export function differences(row: Row, leaseSeconds: number): string[] {
  const expected = EXPECTED.find(({ cause }) => cause === row.cause)
  if (expected === undefined) return [`${row.cause}: the table has no such row`]
  const found: string[] = []
  const compare = (when: string, operation: string, wanted: string, answer: string): void => {
    if (answer !== wanted) found.push(`${row.cause}, ${when}, ${operation}: ${answer} instead of ${wanted}`)
  }
  compare('at once', 'download training data', expectedAnswer('download training data', expected), row.firstRefusal)
  const named = [expected.told, ...(expected.toldBefore === undefined ? [] : [expected.toldBefore])]
  const reasons = expected.answer === undefined ? named.map(cause => `(${cause})`) : ["data keys can't be used"]
  if (!reasons.some(reason => row.pausedJob.includes(reason)))
    found.push(`${row.cause}: the paused job's event is '${row.pausedJob}' and does not name ${expected.told}`)
  const bound = (leaseSeconds + 1) * 1000
  if (row.refusedMs > bound)
    found.push(`${row.cause}: refused after ${row.refusedMs.toFixed(0)} ms, more than ${bound}`)
  if (row.pausedMs > bound) found.push(`${row.cause}: the job paused after ${row.pausedMs.toFixed(0)} ms`)
  // No plaintext in a child, a queue or a stream outlives the lease by more than half a second, nor by the size of what runs.
  for (const what of ['processMs', 'queueMs', 'streamMs'] as const)
    if (row[what] > leaseSeconds * 1000 + 500) found.push(`${row.cause}: ${what} is ${row[what].toFixed(0)}`)
  const ended = expected.answer?.split(' ')[1] ?? 'CustomerManagedKeyUnavailable'
  if (row.servingEnds.some(code => code !== ended))
    found.push(`${row.cause}: a deployment that stops with its key ended with ${row.servingEnds.join(', ')}`)
  for (const [operation, answer] of Object.entries(row.whileRevoked))
    compare('revoked', operation, expectedAnswer(operation, expected), answer)
  for (const [operation, answer] of Object.entries(row.afterRestart))
    compare('after a restart', operation, expectedAnswer(operation, expected), answer)
  if (expected.gone && row.messages.some(message => !message.includes('gone for good')))
    found.push(`${row.cause}: not everything says that the data is gone for good: ${row.messages.join(' | ')}`)
  found.push(...row.broken.map(what => `${row.cause}: ${what}`))
  for (const [operation, answer] of Object.entries(row.givenBack ?? {}))
    compare('given back', operation, 'allowed', answer)
  return found
}
