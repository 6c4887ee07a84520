/** Longest that the work of all together holds the event loop, in milliseconds; then others have their turn. */
const SLICE_MS = 4

let began: number | undefined
const waiting: (() => void)[] = []

function begin(): void {
  began = performance.now()
  setImmediate(() => {
    began = undefined
    // One task for each turn of the event loop: ten tasks in one turn would hold it ten times as long.
    const next = waiting.shift()
    if (next === undefined) return
    begin()
    next()
  })
}

/** Whether this turn of the event loop is used up. Call it before each small piece of a long task; if it is, call `nextTurn`. */
export function turnIsOver(): boolean {
  if (began === undefined) begin()
  return waiting.length > 0 || performance.now() - (began ?? 0) > SLICE_MS
}

/** Resolves in a later turn of the event loop, after network and timers have been served. First come, first served. */
export function nextTurn(): Promise<void> {
  if (began === undefined) begin()
  return new Promise(resolve => waiting.push(resolve))
}

/** Call it before each small piece of a long task that does not wait for anything itself. */
export async function giveWay(): Promise<void> {
  if (turnIsOver()) await nextTurn()
}
