import { useState } from 'react'

/** A button's action: whether it is under way, and its last error. */
export function useAction(): {
  readonly busy: boolean
  readonly error: unknown
  /** Resolves to false when it failed. */
  readonly run: (work: () => Promise<unknown>) => Promise<boolean>
  readonly forget: () => void
} {
  const [busy, setBusy] = useState(false)
  const [error, setError] = useState<unknown>()
  const run = async (work: () => Promise<unknown>): Promise<boolean> => {
    setBusy(true)
    setError(undefined)
    try {
      await work()
      return true
    } catch (failed) {
      setError(failed)
      return false
    } finally {
      setBusy(false)
    }
  }
  return { busy, error, run, forget: () => setError(undefined) }
}
