import { readdir, readFile } from 'node:fs/promises'
import { join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'

/** A code that a file of src returns, and its status, or how else it comes. */
export interface Said {
  readonly path: string
  readonly code: string
  readonly status: number | string
}

/** Which argument of a call is the code, and the statuses for its arguments. */
interface Rule {
  readonly at: number
  readonly statuses: (call: readonly string[]) => readonly number[]
}

const always = (at: number, status: number): Rule => ({ at, statuses: () => [status] })
const CLASSES: Readonly<Record<string, Rule>> = {
  AzureError: {
    at: 0,
    statuses: ([, status = '']) => Array.from(status.matchAll(/\b\d{3}\b/g), ([digits]) => Number(digits)),
  },
  NotFound: always(0, 404),
  Conflict: always(0, 409),
  Forbidden: always(0, 403),
}
const FUNCTIONS: Readonly<Record<string, Rule>> = {
  loginError: {
    at: 0,
    statuses: ([code, , , options = '']) => [
      Number(/status: (\d{3})/.exec(options)?.[1] ?? (code === "'invalid_client'" ? 401 : 400)),
    ],
  },
  changedMeanwhile: always(1, 409),
  conflictOf: always(2, 409),
  badRequest: always(2, 400),
  badBody: always(2, 400),
}

/** By file, where the code and its status are not in one call. */
export const ELSEWHERE: Readonly<Record<string, Readonly<Record<string, number | string>>>> = {
  'src/store/storage-errors.ts': { InsufficientStorage: 507, StorageUnavailable: 503 },
  'src/http/encode-error.ts': {
    BadParameter: 400,
    InvalidRequestContent: 400,
    invalidPayload: 400,
    invalid_request: 400,
  },
  'src/http/handle-request.ts': { '404': 404, NotFound: 404, ResourceNotFound: 404 },
  'src/arm/operations.ts': { OperationInterrupted: 409 },
  'src/entra/authorize.ts': {
    interaction_required: 'redirect',
    invalid_request: 'redirect',
    invalid_scope: 'redirect',
    login_required: 'redirect',
    unsupported_response_type: 'redirect',
  },
  'src/entra/sign-in.ts': { access_denied: 'redirect' },
  'src/openai/job-ends.ts': { internalFailure: "a job's error", outOfMemory: "a job's error" },
  'src/openai/chat-body.ts': {
    invalid_parameter_combination: 400,
    invalid_value: 400,
    unsupported_parameter: 400,
    unsupported_value: 400,
  },
  'src/openai/field-error.ts': {
    array_above_max_length: 400,
    array_below_min_length: 400,
    decimal_above_max_value: 400,
    decimal_below_min_value: 400,
    empty_array: 400,
    empty_string: 400,
    integer_above_max_value: 400,
    integer_below_min_value: 400,
    invalid_type: 400,
    invalid_value: 400,
    missing_required_parameter: 400,
    string_above_max_length: 400,
    string_below_min_length: 400,
    unknown_parameter: 400,
  },
}

/** The source files that are not tests, without their comments and the lists of codes. */
export async function sources(): Promise<ReadonlyMap<string, string>> {
  const root = fileURLToPath(new URL('..', import.meta.url))
  const entries = await readdir(join(root, 'src'), { recursive: true, withFileTypes: true })
  const paths = entries
    .filter(({ name }) => name.endsWith('.ts') && !/\.(test|fixture|test-support)\.ts$/.test(name))
    .map(({ parentPath, name }) => relative(root, join(parentPath, name)))
    .filter(path => path !== 'src/http/error-codes.ts')
  return new Map(
    await Promise.all(
      paths.toSorted().map(async path => {
        const text = await readFile(join(root, path), 'utf8')
        return [path, text.replaceAll(/^\s*(\/\/|\/?\*).*$/gm, '')] as const
      }),
    ),
  )
}

/** The codes that the files return, without codes that are only passed on. */
export function saidIn(files: ReadonlyMap<string, string>): Said[] {
  return [...files].flatMap(([path, text]) => {
    const calls = [
      ...Object.entries(CLASSES).flatMap(([name, rule]) => saidBy(text, `new ${name}`, rule)),
      ...Object.entries(FUNCTIONS).flatMap(([name, rule]) => saidBy(text, name, rule)),
      ...text.split(/\bclass /).flatMap(part => {
        const rule = CLASSES[/^\w+ extends (\w+)/.exec(part)?.[1] ?? '']
        return rule === undefined ? [] : saidBy(part, 'super', rule)
      }),
    ]
    const table = ELSEWHERE[path] ?? {}
    const said = [...Object.entries(table), ...calls.filter(([code]) => table[code] === undefined)]
    return said.map(([code, status]) => ({ path, code, status }))
  })
}

function saidBy(text: string, callee: string, { at, statuses }: Rule): [code: string, status: number][] {
  return Array.from(text.matchAll(new RegExp(`\\b${callee}\\(`, 'g'))).flatMap(({ 0: { length }, index }) => {
    const call = argumentsFrom(text, index + length)
    const codes = Array.from((call[at] ?? '').matchAll(/'([^']+)'/g), ([, code = '']) => code)
    return codes.flatMap(code => statuses(call).map((status): [string, number] => [code, status]))
  })
}

/** The arguments, as source text, of a call whose first argument begins here. */
function argumentsFrom(text: string, start: number): string[] {
  const found: string[] = []
  let [depth, begin] = [0, start]
  // A string counts as one piece, since it may have brackets and commas.
  const piece = /'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|`(?:[^`\\]|\\.)*`|[()[\]{},]/g
  piece.lastIndex = start
  for (let match = piece.exec(text); match !== null && depth >= 0; match = piece.exec(text)) {
    const [letter] = match
    if ('([{'.includes(letter)) depth += 1
    if (')]}'.includes(letter)) depth -= 1
    if (depth < 0 || (depth === 0 && letter === ',')) {
      found.push(text.slice(begin, match.index).trim())
      begin = match.index + 1
    }
  }
  return found
}
