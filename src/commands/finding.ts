/** One line of `ownkey doctor`. */
export interface Finding {
  /** `note`: nothing is wrong, but worth knowing. */
  readonly state: 'ok' | 'lacking' | 'note'
  readonly what: string
  /** What to do; lines. */
  readonly remedy?: readonly string[]
}

export function finding(ok: boolean, what: string, ...remedy: string[]): Finding {
  return ok ? { state: 'ok', what } : { state: 'lacking', what, remedy }
}
