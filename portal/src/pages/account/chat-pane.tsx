import { Button, Input } from '@fluentui/react-components'
import { useState } from 'react'
import type { Account } from '../../api/arm.ts'
import { ApiError, requestIdOf } from '../../api/http.ts'
import { openaiSend } from '../../api/openai.ts'
import { Failure } from '../../parts/states.tsx'

interface Message {
  readonly role: 'user' | 'assistant'
  readonly content: string
}

/** A chat with one deployment, streamed. */
export function ChatPane({
  account,
  deployment,
  onClose,
}: {
  account: Account
  deployment: string
  onClose: () => void
}) {
  const [messages, setMessages] = useState<readonly Message[]>([])
  const [question, setQuestion] = useState('')
  const [busy, setBusy] = useState(false)
  const [error, setError] = useState<unknown>()
  const ask = async (): Promise<void> => {
    const asked: readonly Message[] = [...messages, { role: 'user', content: question }]
    setMessages([...asked, { role: 'assistant', content: '' }])
    setQuestion('')
    setBusy(true)
    setError(undefined)
    try {
      let answer = ''
      for await (const piece of stream(account, deployment, asked)) {
        answer += piece
        setMessages([...asked, { role: 'assistant', content: answer }])
      }
    } catch (failed) {
      setError(failed)
      setMessages(messages)
      setQuestion(question)
    } finally {
      setBusy(false)
    }
  }
  return (
    <section aria-label={`Chat with ${deployment}`}>
      <div className="row">
        <h2 className="section grow">Chat with {deployment}</h2>
        <Button size="small" onClick={onClose}>
          Close
        </Button>
      </div>
      <div className="chat" role="log" aria-live="polite">
        {messages.length === 0 && <p className="muted">Ask the deployment something.</p>}
        {messages.map((message, index) => (
          // Messages are only ever added at the end.
          // oxlint-disable-next-line react/no-array-index-key
          <p key={index} className={message.role === 'user' ? 'me' : undefined}>
            {message.content || '…'}
          </p>
        ))}
      </div>
      {error !== undefined && <Failure error={error} />}
      <form
        className="row"
        onSubmit={event => {
          event.preventDefault()
          void ask()
        }}
      >
        <Input className="grow" aria-label="Message" value={question} onChange={(_, { value }) => setQuestion(value)} />
        <Button appearance="primary" type="submit" disabled={busy || question.trim() === ''}>
          Send
        </Button>
      </form>
    </section>
  )
}

/** The pieces of an answer as they arrive (server-sent events). @throws ApiError */
async function* stream(account: Account, deployment: string, messages: readonly Message[]): AsyncGenerator<string> {
  const body = { model: deployment, messages, stream: true, max_tokens: 120 }
  const response = await openaiSend(account, '/chat/completions', { method: 'POST', body })
  const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader()
  let rest = ''
  for (;;) {
    const next = await reader?.read()
    if (next === undefined || next.done) return
    const lines = (rest + next.value).split('\n')
    rest = lines.pop() ?? ''
    for (const line of lines) {
      if (!line.startsWith('data: ') || line === 'data: [DONE]') continue
      const { choices = [], error } = JSON.parse(line.slice(6)) as {
        choices?: { delta: { content?: string } }[]
        error?: { code?: string; message: string }
      }
      if (error !== undefined) {
        const { code = 'Interrupted', message } = error
        throw new ApiError({ status: 200, code, message, requestId: requestIdOf(response.headers) })
      }
      yield choices[0]?.delta.content ?? ''
    }
  }
}
