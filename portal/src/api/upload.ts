import type { Account } from './arm.ts'
import { ApiError, type ErrorDetail } from './http.ts'
import { openaiUrl, signed, type OpenAiFile } from './openai.ts'

/** Uploads training data. `onShare` gets the share that was sent (fetch can't tell). @throws ApiError with findings by line */
export async function uploadFile(account: Account, file: File, onShare: (share: number) => void): Promise<OpenAiFile> {
  return signed(account, headers => post(openaiUrl(account, '/files'), headers, file, onShare))
}

function post(
  url: string,
  headers: Readonly<Record<string, string>>,
  file: File,
  onShare: (share: number) => void,
): Promise<OpenAiFile> {
  const form = new FormData()
  form.append('purpose', 'fine-tune')
  form.append('file', file, file.name)
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest()
    request.open('POST', url)
    for (const [name, value] of Object.entries(headers)) request.setRequestHeader(name, value)
    request.upload.onprogress = ({ loaded, total }) => onShare(total === 0 ? 0 : loaded / total)
    const requestId = (): string =>
      request.getResponseHeader('apim-request-id') ?? request.getResponseHeader('x-ms-request-id') ?? ''
    request.onerror = () =>
      reject(
        new ApiError({ status: 0, code: 'Unreachable', message: 'The upload broke off. Try again.', requestId: '' }),
      )
    request.onload = () => {
      try {
        const body = JSON.parse(request.responseText) as OpenAiFile & {
          error?: { code: string; message: string; details?: ErrorDetail[] }
        }
        if (request.status < 300) resolve(body)
        else
          reject(
            new ApiError({
              status: request.status,
              code: body.error?.code ?? String(request.status),
              message: body.error?.message ?? request.statusText,
              details: body.error?.details ?? [],
              requestId: requestId(),
            }),
          )
      } catch (error) {
        reject(error)
      }
    }
    request.send(form)
  })
}
