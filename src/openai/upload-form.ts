import busboy from 'busboy'
import type { Readable } from 'node:stream'
import type { Call } from '../http/route.ts'
import { badRequest } from './ids.ts'

const MAX_FIELDS = 16
const MAX_FIELD_BYTES = 4096

/** The file part as it streams by; `fields` is complete once `bytes` has ended. */
export interface UploadForm<T> {
  readonly filename: string
  readonly fields: ReadonlyMap<string, string>
  readonly result: T
}

/**
 * Reads a multipart form with one file, whose bytes go to `take` while they arrive: clients send the file before its purpose.
 * @throws 400 invalidPayload when the body is no such form
 */
export async function readUploadForm<T>(
  call: Call,
  take: (bytes: Readable, filename: string) => Promise<T>,
): Promise<UploadForm<T>> {
  const contentType = call.headers.get('content-type') ?? ''
  if (!/^multipart\/form-data\s*;/i.test(contentType))
    throw badRequest("The body must be multipart/form-data with the parts 'file' and 'purpose'.")
  const form = openForm(contentType)
  const fields = new Map<string, string>()
  const body = call.body()
  const parsed = new Promise<{ filename: string; result: T }>((resolve, reject) => {
    let taken: Promise<{ filename: string; result: T }> | undefined
    const fail = (error: unknown): void => {
      body.unpipe(form)
      body.resume()
      reject(error)
    }
    form.on('file', (name, bytes, info) => {
      if (name !== 'file' || taken !== undefined) {
        bytes.resume()
        fail(badRequest("The form must have exactly one file, in the part named 'file'.", 'file'))
        return
      }
      // A form that breaks off fails this stream before anybody reads it; whoever reads it later sees the failure.
      bytes.on('error', () => {})
      const filename = checkFilename(info.filename)
      taken = take(bytes, filename).then(result => ({ filename, result }))
      taken.catch(error => {
        bytes.resume()
        fail(error)
      })
    })
    form.on('field', (name, value, info) => {
      if (info.valueTruncated || info.nameTruncated)
        fail(badRequest(`The form field '${name.slice(0, 64)}' is longer than ${MAX_FIELD_BYTES} bytes.`))
      else fields.set(name, value)
    })
    for (const limit of ['partsLimit', 'filesLimit', 'fieldsLimit'] as const)
      form.on(limit, () => fail(badRequest(`The form has more than ${MAX_FIELDS} parts.`)))
    form.on('error', error =>
      fail(badRequest(`The multipart body is malformed: ${error instanceof Error ? error.message : 'unreadable'}.`)),
    )
    form.on('close', () => {
      if (taken === undefined) fail(badRequest("The form has no part named 'file'.", 'file'))
      else taken.then(resolve, reject)
    })
    body.on('error', error => {
      form.destroy(error)
      fail(error)
    })
  })
  body.pipe(form)
  const { filename, result } = await parsed
  return { filename, result, fields }
}

function openForm(contentType: string): busboy.Busboy {
  try {
    const limits = {
      files: 2,
      fields: MAX_FIELDS,
      parts: MAX_FIELDS + 2,
      fieldSize: MAX_FIELD_BYTES,
      fieldNameSize: 100,
      headerPairs: 32,
    }
    return busboy({ headers: { 'content-type': contentType }, limits, defParamCharset: 'utf8' })
  } catch {
    throw badRequest('The content-type has no usable multipart boundary.')
  }
}

function checkFilename(filename: string | undefined): string {
  const name = (filename ?? '').trim()
  return name === '' ? 'upload.jsonl' : name.slice(0, 255)
}
