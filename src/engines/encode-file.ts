import type { ChatLayout } from './chat-layout.ts'
import type { FileReport, Lines } from './engine.ts'
import { ConversationRefused, EngineFailure, TrainingDataUnfit } from './failures.ts'
import { getsOn } from './sign-of-life.ts'
import { encodeExample, type EncodedExample } from './training-batches.ts'
import { readTrainingFile, type TrainingExample } from './training-file.ts'

/** Lines of a report that are named; the others are counted. */
const MOST_NAMED = 20

/**
 * Reads a file as its model reads it, and says what of it is used. @throws EngineFailure for a file that is not valid
 */
export async function encodeFile(
  source: AsyncIterable<Uint8Array>,
  layout: ChatLayout,
  how: { readonly file: FileReport['file']; readonly context: number },
): Promise<{ readonly encoded: EncodedExample[]; readonly report: FileReport }> {
  const { file, context } = how
  const encoded: EncodedExample[] = []
  const [cut, leftOut]: [number[], number[]] = [[], []]
  for await (const item of readTrainingFile(source)) {
    getsOn()
    // A validation file may be short. The number of training examples was checked before.
    if ('finding' in item && item.finding.code === 'invalid_n_examples') continue
    if ('finding' in item) throw new EngineFailure(`the ${file} data is not valid: ${item.finding.message}`)
    const { line } = item.example
    const example = encodedAt(item.example, layout, how)
    if (example === undefined) leftOut.push(line)
    else {
      encoded.push(example)
      if (example.isCut) cut.push(line)
    }
  }
  const tokens = encoded.reduce((sum, { ids }) => sum + ids.length, 0)
  const report = { file, examples: encoded.length, tokens, cut: named(cut), leftOut: named(leftOut), context }
  return { encoded, report }
}

/** A template refuses some conversations, such as two calls at once, in words that quote none of it. */
function encodedAt(
  example: TrainingExample,
  layout: ChatLayout,
  { file, context }: { readonly file: FileReport['file']; readonly context: number },
): EncodedExample | undefined {
  try {
    return encodeExample(layout, example, context)
  } catch (error) {
    if (!(error instanceof ConversationRefused)) throw error
    const message = `Line ${example.line} of the ${file} file can't be used with this base. ${error.message}.`
    throw new TrainingDataUnfit('jsonlValidationFailed', message)
  }
}

function named(lines: readonly number[]): Lines {
  return { count: lines.length, first: lines.slice(0, MOST_NAMED) }
}
