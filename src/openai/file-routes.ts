import { z } from 'zod'
import type { Account } from '../accounts/account.ts'
import { untilRefused } from '../encryption/until-refused.ts'
import { NotFound } from '../http/errors.ts'
import { bodyOf, cutBy, json } from '../http/respond.ts'
import type { Call, CallBody } from '../http/route.ts'
import type { DataRoute } from './data-plane.ts'
import type { Files } from './files.ts'
import { badBody, badRequest, checkId } from './ids.ts'
import type { FileRecord } from './records.ts'
import { readUploadForm } from './upload-form.ts'
import { UploadSlots } from './upload-slots.ts'

/** Azure's limit for a training file, plus room for its multipart frame. */
const MAX_UPLOAD = 512 * 1024 * 1024 + 64 * 1024

export function fileRoutes(service: Files): DataRoute[] {
  const slots = new UploadSlots()
  const get = async (call: Call, account: Account): Promise<FileRecord> =>
    (await service.get(account.accountId, String(call.params['file']))).value
  return [
    {
      method: 'POST',
      path: '/files',
      action: 'files/write',
      maxBody: MAX_UPLOAD,
      handler: (call, account) =>
        slots.run(account.accountId, call.signal, watched => upload(service, call, account, watched)),
    },
    {
      method: 'GET',
      path: '/files',
      action: 'files/read',
      maxBody: 0,
      handler: (call, account) => listFiles(service, call, account),
    },
    {
      method: 'GET',
      path: '/files/:file',
      action: 'files/read',
      maxBody: 0,
      handler: async (call, account) => {
        const file = await get(call, account)
        return json(showFile(file, await service.filename(account.accountId, file)))
      },
    },
    {
      method: 'GET',
      path: '/files/:file/content',
      action: 'files/read',
      maxBody: 0,
      handler: async (call, account) => download(service, account, await get(call, account)),
    },
    {
      method: 'DELETE',
      path: '/files/:file',
      action: 'files/delete',
      maxBody: 0,
      handler: async (call, account) => {
        const stored = await service.get(account.accountId, String(call.params['file']))
        await service.delete(account, stored)
        return json({ id: stored.value.fileId, object: 'file', deleted: true })
      },
    },
  ]
}

/** Clients send the file before its purpose. So it is sealed while it streams, and dropped when the purpose does not fit. */
async function upload(
  service: Files,
  call: Call,
  account: Account,
  watched: (body: CallBody) => CallBody,
): Promise<Response> {
  const form = await readUploadForm(
    { headers: call.headers, body: () => watched(call.body()) },
    (bytes, name) => service.receive(account, bytes, name),
    pending => service.discard(pending),
  )
  const purpose = form.fields.get('purpose')
  if (purpose !== 'fine-tune') {
    await service.discard(form.result)
    const message =
      purpose === undefined
        ? "The form lacks the part 'purpose'. Send purpose=fine-tune."
        : `The purpose '${purpose.slice(0, 64)}' is not supported. Use fine-tune.`
    throw badBody(message, 'purpose')
  }
  const file = await service.keep(account, form.result)
  const location = `${call.origin}${call.url.pathname}/${file.fileId}`
  return json(showFile(file, form.filename), { status: 201, headers: { location } })
}

/** A `limit` of a list. */
export const pageSize = (most: number) => {
  const message = `must be a whole number from 1 to ${most}`
  return z
    .string()
    .regex(/^\d{1,6}$/, message)
    .transform(Number)
    .pipe(z.int(message).min(1, message).max(most, message))
}

const listQuery = z.object({
  limit: pageSize(10_000).default(10_000),
  order: z.enum(['asc', 'desc']).default('desc'),
  purpose: z.enum(['fine-tune', 'fine-tune-results']).optional(),
  after: z.string().max(64).optional(),
})

async function listFiles(service: Files, call: Call, account: Account): Promise<Response> {
  const { limit, order, purpose, after } = readQuery(call, listQuery)
  if (after !== undefined) checkId(after, 'file-', 'file')
  const { page, hasMore } = await service.list(account.accountId, { after, limit, ascending: order === 'asc', purpose })
  const data = []
  const opener = untilRefused()
  for (const file of page) {
    const shown = await service.filename(account.accountId, file, opener).then(
      filename => showFile(file, filename),
      (error: unknown) => unlessDeleted(service, account, file, error),
    )
    if (shown !== undefined) data.push(shown)
  }
  return json({
    object: 'list',
    data,
    has_more: hasMore,
    first_id: page[0]?.fileId ?? null,
    last_id: page.at(-1)?.fileId ?? null,
  })
}

/** Leaves out a file that was deleted since the page was read. @throws other errors */
async function unlessDeleted(service: Files, account: Account, file: FileRecord, error: unknown): Promise<undefined> {
  const isGone = await service.get(account.accountId, file.fileId).then(
    () => false,
    (missing: unknown) => missing instanceof NotFound,
  )
  if (!(error instanceof NotFound) || !isGone) throw error
}

/** Query parameters by a schema. @throws 400 invalidPayload that names the parameter */
export function readQuery<T extends z.ZodType>(call: Call, schema: T): z.infer<T> {
  const result = schema.safeParse(Object.fromEntries(call.query))
  if (result.success) return result.data
  const issue = result.error.issues[0]
  throw badRequest(
    `The query parameter '${issue?.path.join('.') ?? ''}' is invalid: ${issue?.message ?? 'unreadable'}.`,
    issue?.path.join('.'),
  )
}

/** R22: refused when the key is unavailable. The content length is known, so a broken stream never looks like a whole file. */
async function download(service: Files, { accountId }: Account, file: FileRecord): Promise<Response> {
  // First, so that there is one question to the vault where the key is unavailable.
  const opened = await service.open(accountId, file)
  const filename = await service.filename(accountId, file)
  const disposition = `attachment; filename*=UTF-8''${encodeURIComponent(filename ?? file.fileId)}`
  const headers = {
    'content-type': 'application/octet-stream',
    'content-length': String(opened.size),
    'content-disposition': disposition,
  }
  return cutBy(new Response(await bodyOf(opened.read()), { headers }), opened.cut)
}

function showFile(file: FileRecord, filename: string | undefined): object {
  return {
    id: file.fileId,
    object: 'file',
    bytes: file.bytes,
    created_at: file.createdAt,
    filename: filename ?? file.fileId,
    purpose: file.purpose,
    status: 'processed',
    ...(filename === undefined
      ? {
          status_details:
            "The file's name is sealed under the customer-managed key, which is currently unavailable; this is its id.",
        }
      : {}),
  }
}
