/**
 * Runs work that Ctrl-C and SIGTERM abort, so that it can clear up; then the process ends by that signal, as its shell expects.
 */
export async function interruptible<T>(work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const controller = new AbortController()
  let caught: NodeJS.Signals | undefined
  const onSignal = (signal: NodeJS.Signals): void => {
    caught = signal
    controller.abort(new Error('It was broken off, and nothing was changed.'))
  }
  const signals = ['SIGINT', 'SIGTERM'] as const
  for (const signal of signals) process.on(signal, onSignal)
  try {
    return await work(controller.signal)
  } finally {
    for (const signal of signals) process.off(signal, onSignal)
    if (caught !== undefined) process.kill(process.pid, caught)
  }
}
