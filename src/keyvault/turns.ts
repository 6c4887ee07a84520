/** Runs tasks of the same name one after the other, in the order of the calls. Other names do not wait. */
export type InTurn = <T>(name: string, run: () => Promise<T>) => Promise<T>

export function takingTurns(): InTurn {
  const last = new Map<string, Promise<unknown>>()
  return async (name, run) => {
    const before = last.get(name) ?? Promise.resolve()
    const mine = before.then(run, run)
    const settled = mine.catch(() => undefined)
    last.set(name, settled)
    try {
      return await mine
    } finally {
      if (last.get(name) === settled) last.delete(name)
    }
  }
}
