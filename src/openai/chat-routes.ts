import { createHash } from 'node:crypto'
import { setTimeout } from 'node:timers/promises'
import type { Account } from '../accounts/account.ts'
import type { Deployment } from '../accounts/deployment.ts'
import type { Deployments } from '../accounts/deployments.ts'
import type { ServingModel } from '../accounts/running-models.ts'
import type { ChatDelta } from '../engines/engine.ts'
import { ContextTooLong, ConversationRefused, EngineBusy } from '../engines/failures.ts'
import type { Env } from '../base/env.ts'
import type { ErrorCode } from '../http/error-codes.ts'
import { AzureError, NotFound } from '../http/errors.ts'
import { cutBy, json } from '../http/respond.ts'
import type { Call } from '../http/route.ts'
import { chatBody, type ChatBody } from './chat-body.ts'
import type { DataRoute } from './data-plane.ts'
import { inferenceBody } from './field-error.ts'
import { badRequest } from './ids.ts'

const MAX_BODY = 4 * 1024 * 1024
/** Time between the reason for a stream's end and its cut. A cut by `cutBy` leaves at most 150 ms. */
const LAST_WORD_MS = 100

/** Chat with a deployment, which is named in the path (classic) or in `model` (v1). */
export function chatRoutes(deployments: Deployments, env: Env): DataRoute[] {
  const base = { method: 'POST', action: 'deployments/chat/completions/action', maxBody: MAX_BODY } as const
  const answer = async (call: Call, account: Account, body: ChatBody, name: string): Promise<Response> => {
    const deployment = await find(deployments, account, name)
    const model = await deployments.model(deployment)
    return complete(call, env, deployment, model, body)
  }
  return [
    {
      ...base,
      path: '/deployments/:deployment/chat/completions',
      forms: ['classic'],
      handler: async (call, account) =>
        answer(call, account, await inferenceBody(call, chatBody), String(call.params['deployment'])),
    },
    {
      ...base,
      path: '/chat/completions',
      forms: ['v1'],
      handler: async (call, account) => {
        const body = await inferenceBody(call, chatBody)
        if (body.model === undefined)
          throw badRequest(
            "Missing required parameter: 'model'. It is the name of a deployment.",
            'model',
            'missing_required_parameter',
          )
        return answer(call, account, body, body.model)
      },
    },
  ]
}

async function find(deployments: Deployments, account: Account, name: string): Promise<Deployment> {
  const found = await deployments.find(account.accountId, name)
  if (found !== undefined) return found.value
  throw new NotFound(
    'DeploymentNotFound',
    'The API deployment for this resource does not exist. If you created the deployment within the last 5 minutes, please wait a moment and try again.',
  )
}

interface Frame {
  readonly id: string
  readonly created: number
  readonly model: string
  /** It stays the same while the same model serves with the same weights. */
  readonly system_fingerprint: string
}

async function complete(
  call: Call,
  env: Env,
  deployment: Deployment,
  model: ServingModel,
  body: ChatBody,
): Promise<Response> {
  const frame: Frame = {
    id: `chatcmpl-${env.randomBytes(16).toString('hex')}`,
    created: Math.floor(env.now() / 1000),
    model: deployment.model.name,
    system_fingerprint: `fp_${createHash('sha256').update(`${deployment.base} ${deployment.model.name}`).digest('hex').slice(0, 10)}`,
  }
  const deltas = model.chat(body.request, call.signal)[Symbol.asyncIterator]()
  // The first delta is awaited before the response begins, so that a prompt that does not fit gets a 400.
  const first = await next(deltas)
  if (!body.stream) return collect(frame, first, deltas)
  const response = stream(frame, first, deltas, body.includeUsage)
  return model.cut === undefined ? response : cutBy(response, model.cut)
}

async function next(deltas: AsyncIterator<ChatDelta>): Promise<ChatDelta> {
  try {
    const { value, done } = await deltas.next()
    // The model takes its next request only when the iterator of this one is closed.
    if (done !== true && value.type === 'end') await deltas.return?.()
    if (done !== true) return value
  } catch (error) {
    if (error instanceof ContextTooLong) throw badRequest(error.message, 'messages', 'context_length_exceeded')
    if (error instanceof ConversationRefused) throw badRequest(error.message, 'messages')
    if (error instanceof EngineBusy)
      throw new AzureError('429', 429, error.message, { headers: { 'retry-after': '1' } })
    throw error
  }
  throw new AzureError('internalFailure', 500, 'The model ended without an answer. Try again.')
}

async function collect(frame: Frame, first: ChatDelta, deltas: AsyncIterator<ChatDelta>): Promise<Response> {
  let content = ''
  let delta = first
  while (delta.type === 'text') {
    content += delta.text
    delta = await next(deltas)
  }
  const choice = {
    index: 0,
    message: { role: 'assistant', content, refusal: null },
    finish_reason: delta.finishReason,
    logprobs: null,
  }
  return json({ ...frame, object: 'chat.completion', choices: [choice], usage: usageOf(delta) })
}

function stream(frame: Frame, first: ChatDelta, deltas: AsyncIterator<ChatDelta>, includeUsage: boolean): Response {
  const encoder = new TextEncoder()
  const chunk = (choices: object[], usage?: object): Uint8Array =>
    encoder.encode(
      `data: ${JSON.stringify({ ...frame, object: 'chat.completion.chunk', choices, ...(includeUsage ? { usage: usage ?? null } : {}) })}\n\n`,
    )
  const part = (delta: object, finishReason: string | null): Uint8Array =>
    chunk([{ index: 0, delta, finish_reason: finishReason, logprobs: null }])
  let upcoming: ChatDelta | undefined = first
  let failed: unknown
  const body = new ReadableStream<Uint8Array>({
    start: controller => controller.enqueue(part({ role: 'assistant', content: '' }, null)),
    pull: async controller => {
      // After the reason the connection is cut, so that the answer never looks complete. A cut makes clients drop what they have
      // not read yet, so they get a moment to read the reason.
      if (failed !== undefined) {
        await setTimeout(LAST_WORD_MS)
        throw failed
      }
      const delta = upcoming ?? (await next(deltas).catch((error: unknown) => void (failed = error)))
      upcoming = undefined
      if (delta === undefined) return controller.enqueue(encoder.encode(errorEvent(failed)))
      if (delta.type === 'text') return controller.enqueue(part({ content: delta.text }, null))
      controller.enqueue(part({}, delta.finishReason))
      if (includeUsage) controller.enqueue(chunk([], usageOf(delta)))
      controller.enqueue(encoder.encode('data: [DONE]\n\n'))
      return controller.close()
    },
    cancel: async () => {
      await deltas.return?.()
    },
  })
  return new Response(body, {
    headers: { 'content-type': 'text/event-stream; charset=utf-8', 'cache-control': 'no-cache' },
  })
}

/** An event that official clients raise as an API error in the middle of a stream. */
function errorEvent(error: unknown): string {
  const known = error instanceof AzureError ? error : undefined
  const { innererror } = known?.options ?? {}
  const message = known?.message ?? 'The model ended in the middle of its answer. Try again.'
  const code: ErrorCode = known?.code ?? 'internalFailure'
  const shown = { code, message, param: null, type: null, innererror }
  return `data: ${JSON.stringify({ error: shown })}\n\n`
}

function usageOf(end: Extract<ChatDelta, { type: 'end' }>): object {
  return {
    prompt_tokens: end.promptTokens,
    completion_tokens: end.completionTokens,
    total_tokens: end.promptTokens + end.completionTokens,
    // No part of one request is kept for another.
    prompt_tokens_details: { audio_tokens: 0, cached_tokens: 0 },
    completion_tokens_details: {
      accepted_prediction_tokens: 0,
      audio_tokens: 0,
      reasoning_tokens: 0,
      rejected_prediction_tokens: 0,
    },
  }
}
