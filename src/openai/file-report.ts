import type { FileReport, Lines } from '../engines/engine.ts'

/** What people have to know of how a file is used. Lines are 1-based; nothing of the file's content is in it. */
export function warningsOf({ file, examples, cut, leftOut, context }: FileReport): string[] {
  const all = examples + leftOut.count
  const most = `${context.toLocaleString('en')} tokens`
  return [
    ...(cut.count === 0
      ? []
      : [
          `${cut.count} of ${all} examples of the ${file} file are longer than ${most}, the most that is read of one, and were cut there: ${lines(cut)}.`,
        ]),
    ...(leftOut.count === 0
      ? []
      : [
          `${leftOut.count} of ${all} examples of the ${file} file have nothing to learn within ${most} and are left out: ${lines(leftOut)}.`,
        ]),
  ]
}

function lines({ count, first }: Lines): string {
  const more = count - first.length
  return `${first.length === 1 ? 'line' : 'lines'} ${first.join(', ')}${more > 0 ? ` and ${more} more` : ''}`
}
