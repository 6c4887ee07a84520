import { Button, Field, Input } from '@fluentui/react-components'
import { useState } from 'react'
import type { Account } from '../../api/arm.ts'
import { ApiError, requestIdOf } from '../../api/http.ts'
import { openaiSend } from '../../api/openai.ts'
import { Failure } from '../../parts/states.tsx'

interface Message {
  readonly role: 'system' | 'user' | 'assistant'
  readonly content: string
}

/**
 * A chat with one deployment, streamed. A small model fails at the API's default temperature of 1, and a fine-tuned one
 * knows its examples under their system message, so both can be set here.
 */
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
  const [instructions, setInstructions] = useState('')
  const [temperature, setTemperature] = useState('0')
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
      const system: readonly Message[] = instructions === '' ? [] : [{ role: 'system', content: instructions }]
      for await (const piece of stream(account, { deployment, messages: [...system, ...asked], temperature })) {
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
      <div className="row heading">
        <h2 className="section grow">Chat with {deployment}</h2>
        <Button size="small" onClick={onClose}>
          Close
        </Button>
      </div>
      <div className="row fields">
        <Field
          className="grow"
          label="Instructions"
          hint="The system message; for a fine-tuned model that of its examples."
        >
          <Input value={instructions} onChange={(_, { value }) => setInstructions(value)} />
        </Field>
        <Field label="Temperature" hint="0: the likeliest answer.">
          <Input
            type="number"
            min={0}
            max={2}
            step={0.1}
            value={temperature}
            onChange={(_, { value }) => setTemperature(value)}
          />
        </Field>
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
        <Input
          className="grow"
          aria-label="Message"
          placeholder="Message"
          value={question}
          onChange={(_, { value }) => setQuestion(value)}
        />
        <Button appearance="primary" type="submit" disabled={busy || question.trim() === ''}>
          Send
        </Button>
      </form>
    </section>
  )
}

/** The pieces of an answer as they arrive (server-sent events). @throws ApiError */
async function* stream(
  account: Account,
  asked: { deployment: string; messages: readonly Message[]; temperature: string },
): AsyncGenerator<string> {
  const { deployment, messages } = asked
  const temperature = asked.temperature === '' ? {} : { temperature: Number(asked.temperature) }
  const body = { model: deployment, messages, stream: true, max_tokens: 120, ...temperature }
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
