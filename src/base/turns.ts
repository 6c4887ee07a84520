/** Longest that the work of all together holds the event loop, in milliseconds; then others have their turn. */
const SLICE_MS = 4

let began: number | undefined
const waiting: (() => void)[] = []

function begin(): void {
  began = performance.now()
  setImmediate(() => {
    began = undefined
    // One waiter for each turn of the event loop, else ten of them would hold it ten times as long.
    const next = waiting.shift()
    if (next === undefined) return
    begin()
    next()
  })
}

/** Whether this turn of the event loop is used up: call before each small piece of long work, and `nextTurn` when it is. */
export function turnIsOver(): boolean {
  if (began === undefined) begin()
  return waiting.length > 0 || performance.now() - (began ?? 0) > SLICE_MS
}

/** Resolves in a later turn of the event loop, in which network and timers have been served; first come, first served. */
export function nextTurn(): Promise<void> {
  if (began === undefined) begin()
  return new Promise(resolve => waiting.push(resolve))
}

/** Before each small piece of long work that waits for nothing by itself. */
export async function giveWay(): Promise<void> {
  if (turnIsOver()) await nextTurn()
}
