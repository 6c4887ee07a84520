const BAR = 24
const EVERY_MS = 100

/** Shows how far a long task is. */
export interface Progress {
  /** @param note what stands behind the bar, at most 40 characters */
  show(done: number, total: number, note: string): void
  /** Takes the bar away. */
  end(): void
}

/** A progress bar that is redrawn on a terminal; nothing where the output is not a terminal. */
export function progressBar(stream: NodeJS.WriteStream = process.stderr): Progress {
  if (!stream.isTTY) return { show: () => {}, end: () => {} }
  let shown = -EVERY_MS
  let isDrawn = false
  return {
    show(done, total, note) {
      const now = performance.now()
      if (now - shown < EVERY_MS && done < total) return
      shown = now
      isDrawn = true
      const part = total === 0 ? 1 : Math.min(1, done / total)
      const full = Math.round(part * BAR)
      const percent = String(Math.floor(part * 100)).padStart(3)
      stream.write(`\r\u001B[K[${'#'.repeat(full)}${'.'.repeat(BAR - full)}] ${percent} %  ${note}`)
    },
    end() {
      if (isDrawn) stream.write('\r\u001B[K')
    },
  }
}
