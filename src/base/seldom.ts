const HOUR_MS = 3_600_000
/** Texts that are remembered. */
const MOST = 1000

/**
 * For what is tried again and again: whether this text was not said within the last hour, so that a failure that lasts does not fill the log.
 * @param now monotonic milliseconds
 */
export function seldom(now = (): number => performance.now()): (text: string) => boolean {
  const said = new Map<string, number>()
  return text => {
    const at = now()
    const before = said.get(text)
    if (before !== undefined && at - before < HOUR_MS) return false
    if (said.size >= MOST) said.clear()
    said.set(text, at)
    return true
  }
}
