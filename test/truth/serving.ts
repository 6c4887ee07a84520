import { APIError } from 'openai'
import type { TestAccount } from '../support/azure.ts'

const ASKING = 6
const LIMIT_MS = 20_000

/** When the last of each came, by performance.now(), and how the callers were refused. */
export interface Served {
  readonly queueAt: number
  readonly streamAt: number
  readonly refusals: readonly string[]
}

/** Asks a deployment again and again, more than it answers at once, in whole answers and in streams, until each is refused. */
export function keepAsking(account: TestAccount, deployment: string): Promise<Served> {
  const served = { queueAt: performance.now(), streamAt: performance.now() }
  const question = {
    model: deployment,
    messages: [{ role: 'user' as const, content: 'Say number 3.' }],
    max_tokens: 64,
  }
  const chats = account.openai.chat.completions
  const whole = async (): Promise<void> => {
    await chats.create(question)
    served.queueAt = performance.now()
  }
  const streamed = async (): Promise<void> => {
    for await (const _ of await chats.create({ ...question, stream: true })) served.streamAt = performance.now()
  }
  const askers = [streamed, ...Array.from({ length: ASKING }, () => whole)].map(untilRefused)
  return Promise.all(askers).then(refusals => ({ ...served, refusals }))
}

async function untilRefused(ask: () => Promise<void>): Promise<string> {
  const deadline = performance.now() + LIMIT_MS
  while (performance.now() < deadline) {
    try {
      await ask()
    } catch (error) {
      // In the middle of a stream the client does not see a status.
      if (error instanceof APIError && [403, 500, undefined].includes(error.status)) return error.code ?? ''
      // A stream may be cut before it could say why, but the next request is told.
      if (!(error instanceof TypeError && error.message === 'terminated')) throw error
    }
  }
  return 'still served'
}
