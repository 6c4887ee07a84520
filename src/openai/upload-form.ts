import busboy from 'busboy'
import type { Readable } from 'node:stream'
import type { Call } from '../http/route.ts'
import { AzureError } from '../http/errors.ts'
import { badBody, badRequest } from './ids.ts'

const MAX_FIELDS = 16
const MAX_FIELD_BYTES = 4096

/** The file part while it streams. `fields` is complete once `bytes` has ended. */
export interface UploadForm<T> {
  readonly filename: string
  readonly fields: ReadonlyMap<string, string>
  readonly result: T
}

/**
 * Reads a multipart form with one file, whose bytes go to `take` while they arrive, since clients send the file before its purpose.
 * Where the form turns out to be invalid, the result of `take` goes to `drop`.
 * @throws 400 invalidPayload when the body is not such a form, 415 when its content type is another
 */
export async function readUploadForm<T>(
  call: Pick<Call, 'headers' | 'body'>,
  take: (bytes: Readable, filename: string) => Promise<T>,
  drop: (taken: T) => Promise<void>,
): Promise<UploadForm<T>> {
  const contentType = call.headers.get('content-type') ?? ''
  if (!/^multipart\/form-data\s*(;|$)/i.test(contentType)) {
    const message = "The body must be multipart/form-data with the parts 'file' and 'purpose'."
    throw new AzureError('UnsupportedMediaType', 415, message)
  }
  const form = openForm(contentType)
  const fields = new Map<string, string>()
  const body = call.body()
  let taken: Promise<{ filename: string; result: T }> | undefined
  const { promise: parsed, resolve, reject } = Promise.withResolvers<{ filename: string; result: T }>()
  const fail = (error: unknown): void => {
    body.unpipe(form)
    body.resume()
    // Ends the file's stream too, so that its reader does not wait for ever.
    form.destroy()
    reject(error)
  }
  form.on('file', (name, bytes, info) => {
    // A form that breaks off fails this stream before anybody reads it. A later reader sees the failure.
    bytes.on('error', () => {})
    if (name !== 'file' || taken !== undefined) {
      bytes.resume()
      return fail(badRequest("The form must have exactly one file, in the part named 'file'.", 'file'))
    }
    const filename = checkFilename(info.filename)
    taken = take(bytes, filename).then(result => ({ filename, result }))
    taken.catch(error => {
      bytes.resume()
      fail(error)
    })
  })
  form.on('field', (name, value, info) => {
    const problem = fieldProblem(fields, name, info)
    if (problem === undefined) fields.set(name, value)
    else fail(problem)
  })
  form.on('close', () => {
    if (taken === undefined) fail(badRequest("The form has no part named 'file'.", 'file'))
    else taken.then(resolve, reject)
  })
  watch(form, body, fail)
  body.pipe(form)
  try {
    return { ...(await parsed), fields }
  } catch (error) {
    await taken?.then(
      ({ result }) => drop(result),
      () => undefined,
    )
    throw error
  }
}

/** The events that break a form off. */
function watch(form: busboy.Busboy, body: Readable, fail: (error: unknown) => void): void {
  for (const limit of ['partsLimit', 'filesLimit', 'fieldsLimit'] as const)
    form.on(limit, () => fail(badRequest(`The form has more than ${MAX_FIELDS} parts.`)))
  form.on('error', error =>
    fail(badBody(`The multipart body is malformed: ${error instanceof Error ? error.message : 'unreadable'}.`)),
  )
  body.on('error', error => {
    form.destroy(error)
    fail(error)
  })
}

function fieldProblem(
  known: ReadonlyMap<string, string>,
  name: string,
  info: busboy.FieldInfo,
): AzureError | undefined {
  const shown = name.slice(0, 64)
  if (info.valueTruncated || info.nameTruncated)
    return badBody(`The form field '${shown}' is longer than ${MAX_FIELD_BYTES} bytes.`)
  if (known.has(name)) return badBody(`The form field '${shown}' comes twice.`, shown)
  // The client would believe that it works, so it is not dropped silently.
  if (name.startsWith('expires_after'))
    return badBody('Files do not expire here: leave expires_after out, and delete the file in time.', shown)
  return undefined
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
  // A cut through a surrogate pair would leave text that a header can't hold.
  const name = (filename ?? '').trim().slice(0, 255).toWellFormed()
  return name === '' ? 'upload.jsonl' : name
}
