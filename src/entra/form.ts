import type { Call } from '../http/route.ts'
import { loginError } from './aadsts.ts'

/** A body of `application/x-www-form-urlencoded` in which no parameter comes twice. @throws 400 invalid_request */
export async function readForm(call: Call): Promise<URLSearchParams> {
  const type = call.headers.get('content-type') ?? ''
  if (!/^application\/x-www-form-urlencoded\b/i.test(type)) {
    const message = 'The request body must be of type application/x-www-form-urlencoded.'
    throw loginError('invalid_request', 900144, message)
  }
  const chunks: Buffer[] = []
  for await (const chunk of call.body()) chunks.push(chunk as Buffer)
  const form = new URLSearchParams(Buffer.concat(chunks).toString('utf8'))
  const names = [...form.keys()]
  // RFC 6749 3.2: parameters must not be included more than once.
  if (new Set(names).size !== names.length) {
    throw loginError('invalid_request', 9000411, 'The request is not properly formatted: a parameter is duplicated.')
  }
  return form
}
