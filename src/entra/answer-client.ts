import type { SignInCode } from '../http/error-codes.ts'
import { empty } from '../http/respond.ts'
import { formTargetOf } from './page.ts'
import { formPostPage } from './sign-in-page.ts'

/** Where the answer to an authorization request goes, and in what form. */
export interface ReturnAddress {
  readonly redirectUri: string
  readonly responseMode: 'query' | 'fragment' | 'form_post'
  readonly state?: string
}

/** RFC 6749 4.1.2.1, for the client. */
export interface SignInProblem {
  readonly error: SignInCode
  readonly error_description: string
}

/** Sends the browser back to the client, whose redirect URI was checked before. */
export function answerClient(
  back: ReturnAddress,
  answer: SignInProblem | { readonly code: string; readonly session_state: string },
  cookie?: string,
): Response {
  const { redirectUri, responseMode, state } = back
  const values = { ...answer, ...(state === undefined ? {} : { state }) }
  if (responseMode === 'form_post')
    return formPostPage(redirectUri, values, { formTarget: formTargetOf(redirectUri), cookie })
  const url = new URL(redirectUri)
  if (responseMode === 'fragment') url.hash = new URLSearchParams(values).toString()
  else for (const [name, value] of Object.entries(values)) url.searchParams.set(name, value)
  return empty(303, {
    location: url.href,
    'cache-control': 'no-store',
    'referrer-policy': 'no-referrer',
    ...(cookie === undefined ? {} : { 'set-cookie': cookie }),
  })
}
