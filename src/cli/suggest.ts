/** The candidate that was probably meant: it begins with the text, or is one or two slips away, in any letter case. */
export function nearest(given: string, candidates: readonly string[]): string | undefined {
  const text = given.toLowerCase()
  const begun = candidates.filter(candidate => text.length > 1 && candidate.startsWith(text))
  if (begun.length === 1) return begun[0]
  const most = Math.max(1, Math.floor(text.length / 3))
  const [best] = candidates
    .map(candidate => ({ candidate, slips: editDistance(text, candidate.toLowerCase(), most) }))
    .filter(({ slips }) => slips <= most)
    .toSorted((a, b) => a.slips - b.slips)
  return best?.candidate
}

/** How many letters to add, drop, change or swap with their neighbour (optimal string alignment). Results above `most` are not exact. */
function editDistance(a: string, b: string, most: number): number {
  if (Math.abs(a.length - b.length) > most) return Infinity
  let before: number[] = []
  let above = Array.from({ length: b.length + 1 }, (_, column) => column)
  for (let row = 1; row <= a.length; row++) {
    const current = [row]
    for (let column = 1; column <= b.length; column++) {
      const isSame = a[row - 1] === b[column - 1]
      const isSwap = a[row - 1] === b[column - 2] && a[row - 2] === b[column - 1]
      current[column] = Math.min(
        at(above, column) + 1,
        at(current, column - 1) + 1,
        at(above, column - 1) + (isSame ? 0 : 1),
        isSwap ? at(before, column - 2) + 1 : Infinity,
      )
    }
    before = above
    above = current
  }
  return at(above, b.length)
}

const at = (row: readonly number[], column: number): number => row[column] ?? Infinity
