/** Tasks that are each done, even where others fail. */
export interface EachForItself {
  /** Resolves in any case. */
  attempt(task: () => Promise<void>): Promise<void>
  /** @throws the failure, or an AggregateError that says how many there were and names the first */
  end(): void
}

export function eachForItself(): EachForItself {
  const failures: unknown[] = []
  return {
    attempt: async task => {
      try {
        await task()
      } catch (error) {
        failures.push(error)
      }
    },
    end: () => {
      if (failures.length === 1) throw failures[0]
      if (failures.length > 1)
        throw new AggregateError(failures, `${failures.length} tasks failed, the first: ${String(failures[0])}`)
    },
  }
}
