import type { FileReport, Lines } from './engine.ts'
import { ConversationRefused, EngineFailure, TrainingDataUnfit } from './failures.ts'
import { getsOn } from './sign-of-life.ts'
import { readTrainingFile, type TrainingExample } from './training-file.ts'

/** Lines of a report that are named; the others are counted. */
const MOST_NAMED = 20

/** What a method makes of an example. */
interface Encoded {
  readonly tokens: number
  readonly isCut?: boolean
}

/**
 * Reads a file as its model reads it, and says what of it is used. @throws EngineFailure for a file that is not valid
 * @param encode gives nothing for an example with nothing to learn within the context
 */
export async function encodeFile<T extends Encoded>(
  source: AsyncIterable<Uint8Array>,
  encode: (example: TrainingExample) => T | undefined,
  how: { readonly file: FileReport['file']; readonly context: number },
): Promise<{ readonly encoded: T[]; readonly report: FileReport }> {
  const { file, context } = how
  const encoded: T[] = []
  const [cut, leftOut]: [number[], number[]] = [[], []]
  for await (const item of readTrainingFile(source)) {
    getsOn()
    // A validation file may be short. The number of training examples was checked before.
    if ('finding' in item && item.finding.code === 'invalid_n_examples') continue
    if ('finding' in item) throw new EngineFailure(`the ${file} data is not valid: ${item.finding.message}`)
    const { line } = item.example
    const example = encodedAt(item.example, encode, file)
    if (example === undefined) leftOut.push(line)
    else {
      encoded.push(example)
      if (example.isCut) cut.push(line)
    }
  }
  const tokens = encoded.reduce((sum, one) => sum + one.tokens, 0)
  const report = { file, examples: encoded.length, tokens, cut: named(cut), leftOut: named(leftOut), context }
  return { encoded, report }
}

/** A template refuses some conversations, such as two calls at once, in words that quote none of it. */
function encodedAt<T>(
  example: TrainingExample,
  encode: (example: TrainingExample) => T | undefined,
  file: FileReport['file'],
): T | undefined {
  try {
    return encode(example)
  } catch (error) {
    if (!(error instanceof ConversationRefused)) throw error
    const message = `Line ${example.line} of the ${file} file can't be used with this base. ${error.message}.`
    throw new TrainingDataUnfit('jsonlValidationFailed', message)
  }
}

function named(lines: readonly number[]): Lines {
  return { count: lines.length, first: lines.slice(0, MOST_NAMED) }
}
