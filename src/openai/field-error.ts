import { z } from 'zod'
import type { OpenAiCode } from '../http/error-codes.ts'
import type { AzureError } from '../http/errors.ts'
import type { Call } from '../http/route.ts'
import { badBody } from './ids.ts'

type Issue = z.core.$ZodIssue

/** How a refinement sets its code, for example `unsupported_value`: `params: … satisfies RefinementParams`. */
export interface RefinementParams {
  readonly code?: OpenAiCode
  readonly param?: string
}

const DEFAULT_CODE = 'invalid_value'
const SHOWN = 64
/** The fields with decimals; all other numbers of a request are whole. */
const DECIMAL = /(temperature|top_p|penalty)$/

/**
 * The JSON body of an inference call, with refusals in OpenAI's form: code, `param` as `messages[0].role`, and message.
 * @throws 400 with the first field that does not fit
 */
export async function inferenceBody<T extends z.ZodType>(call: Call, schema: T): Promise<z.output<T>> {
  const body = await call.json(z.unknown())
  const result = schema.safeParse(body)
  if (result.success) return result.data
  throw fieldError(body, result.error)
}

function fieldError(body: unknown, { issues }: z.ZodError): AzureError {
  const [issue] = issues.map(one => innermost(one))
  if (issue === undefined) return refusal('The request body does not fit.', DEFAULT_CODE)
  if (issue.path.length === 0 && issue.code === 'invalid_type')
    return refusal('The request body must be a JSON object.', 'invalid_type')
  const at = valueAt(body, issue.path)
  const { code, message, param = pathText(issue.path) } = wordsFor(issue, pathText(issue.path), at)
  return refusal(message, code, param)
}

interface Words {
  readonly code: OpenAiCode
  readonly message: string
  readonly param?: string
}

function wordsFor(issue: Issue, name: string, value: unknown): Words {
  if (issue.code === 'unrecognized_keys') {
    const param = [name, String(issue.keys[0]).slice(0, SHOWN)].filter(part => part !== '').join('.')
    return { code: 'unknown_parameter', message: `Unknown parameter: '${param}'.`, param }
  }
  if (issue.code === 'custom') return custom(issue)
  if (value === undefined)
    return { code: 'missing_required_parameter', message: `Missing required parameter: '${name}'.` }
  if (issue.code === 'invalid_type' || issue.code === 'invalid_union') return wrongType(issue, name, value)
  if (issue.code === 'invalid_value') {
    const given = typeof value === 'string' ? `'${value.slice(0, SHOWN)}'` : kindOf(value)
    const values = issue.values.map(one => `'${String(one)}'`).join(', ')
    return { code: 'invalid_value', message: `Invalid value: ${given}. Supported values are: ${values}.` }
  }
  if (issue.code === 'too_big' || issue.code === 'too_small') return wrongSize(issue, name, value)
  return { code: DEFAULT_CODE, message: `Invalid '${name}': ${issue.message}` }
}

function custom(issue: Issue & { code: 'custom' }): Words {
  const { code, param } = (issue.params ?? {}) as RefinementParams
  return { code: code ?? DEFAULT_CODE, message: issue.message, ...(param === undefined ? {} : { param }) }
}

function wrongType(issue: Issue & { code: 'invalid_type' | 'invalid_union' }, name: string, value: unknown): Words {
  const expected =
    issue.code === 'invalid_union'
      ? `one of ${[...new Set(issue.errors.flatMap(([first]) => (first?.code === 'invalid_type' ? [nameOf(first.expected)] : [])))].join(' or ')}`
      : nameOf(issue.expected === 'number' && !DECIMAL.test(name) ? 'int' : issue.expected)
  const message = `Invalid type for '${name}': expected ${expected}, but got ${kindOf(value)} instead.`
  return { code: 'invalid_type', message }
}

function wrongSize(issue: Issue & { code: 'too_big' | 'too_small' }, name: string, value: unknown): Words {
  const isBig = issue.code === 'too_big'
  const limit = Number(isBig ? issue.maximum : issue.minimum)
  if (typeof value === 'number') {
    const kind = DECIMAL.test(name) ? 'decimal' : 'integer'
    const sign = `${isBig ? '<' : '>'}${issue.inclusive === false ? '' : '='}`
    const message = `Invalid '${name}': ${kind} ${isBig ? 'above maximum' : 'below minimum'} value. Expected a value ${sign} ${limit}, but got ${value} instead.`
    return { code: `${kind}_${isBig ? 'above_max' : 'below_min'}_value`, message }
  }
  const kind = typeof value === 'string' ? 'string' : 'array'
  const length = (value as string | unknown[]).length
  const bound = `${isBig ? 'maximum' : 'minimum'} length ${limit}`
  const what = length === 0 ? `empty ${kind}` : `${kind} too ${isBig ? 'long' : 'short'}`
  const got = length === 0 ? `an empty ${kind}` : `${nameOf(kind)} with length ${length}`
  const message = `Invalid '${name}': ${what}. Expected ${nameOf(kind)} with ${bound}, but got ${got} instead.`
  return { code: length === 0 ? `empty_${kind}` : `${kind}_${isBig ? 'above_max' : 'below_min'}_length`, message }
}

/** For a union that failed inside of a branch, the branch's issue says more. */
function innermost(issue: Issue): Issue {
  if (issue.code !== 'invalid_union') return issue
  for (const [first] of issue.errors) {
    const isInside = first !== undefined && (first.path.length > 0 || first.code !== 'invalid_type')
    if (isInside) return innermost({ ...first, path: [...issue.path, ...first.path] })
  }
  return issue
}

function valueAt(body: unknown, path: readonly PropertyKey[]): unknown {
  let value = body
  for (const key of path) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, key)) return undefined
    value = (value as Record<PropertyKey, unknown>)[key]
  }
  return value
}

function pathText(path: readonly PropertyKey[]): string {
  return path
    .map((key, index) => (typeof key === 'number' ? `[${key}]` : `${index === 0 ? '' : '.'}${String(key)}`))
    .join('')
}

function nameOf(type: string): string {
  if (type === 'int') return 'an integer'
  if (type === 'number') return 'a decimal'
  return `${/^[aeiou]/.test(type) ? 'an' : 'a'} ${type}`
}

function kindOf(value: unknown): string {
  if (value === null) return 'null'
  if (Array.isArray(value)) return 'an array'
  if (typeof value === 'number') return Number.isInteger(value) ? 'an integer' : 'a decimal'
  return nameOf(typeof value)
}

function refusal(message: string, code: OpenAiCode, target = ''): AzureError {
  return badBody(message, target === '' ? undefined : target, code)
}
