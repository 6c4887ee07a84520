/** The text without this letter at its end. Linear; `/x+$/` takes quadratic time on a long run that is not at the end. */
export function trimEnd(text: string, letter: string): string {
  let end = text.length
  while (end > 0 && text[end - 1] === letter) end -= 1
  return text.slice(0, end)
}

/** The text without this letter at both ends. */
export function trimBoth(text: string, letter: string): string {
  let begin = 0
  while (begin < text.length && text[begin] === letter) begin += 1
  return trimEnd(text.slice(begin), letter)
}
