/** The longest pause of a vault, so that it can't close its customers' data for a day. Milliseconds. */
const LONGEST_MS = 60_000
/** The most vaults that are remembered. */
const MOST = 10_000

/** RFC 9110: `Sun, 29 Nov 2026 01:00:05 GMT`. */
const HTTP_DATE = /^[A-Z][a-z]{2}, \d{2} [A-Z][a-z]{2} \d{4} [\d:]{8} GMT$/

/** Vaults that take no more requests for a while (429 with Retry-After), and until when, by host. */
export class VaultWaits {
  readonly #until = new Map<string, number>()
  readonly #now: () => number

  /** @param now milliseconds of a clock that is never set back */
  constructor(now: () => number = () => performance.now()) {
    this.#now = now
  }

  /** Notes the wait time of a vault's 429. */
  note(vaultUri: string, milliseconds: number): void {
    if (this.#until.size >= MOST) this.#until.clear()
    this.#until.set(hostOf(vaultUri), this.#now() + Math.min(milliseconds, LONGEST_MS))
  }

  /** Milliseconds until the vault may be asked again; 0: now. */
  left(vaultUri: string): number {
    const host = hostOf(vaultUri)
    const left = (this.#until.get(host) ?? 0) - this.#now()
    if (left > 0) return left
    this.#until.delete(host)
    return 0
  }
}

/** The wait time of an answer in milliseconds, from any of the headers; undefined: none. An HTTP date counts from the machine's clock. */
export function retryAfterMs(headers: { get(name: string): string | undefined }, now = Date.now()): number | undefined {
  for (const name of ['retry-after-ms', 'x-ms-retry-after-ms']) {
    const value = headers.get(name)
    if (value !== undefined && /^\d{1,9}$/.test(value)) return Number(value)
  }
  const value = headers.get('retry-after')
  if (value === undefined) return undefined
  if (/^\d{1,6}$/.test(value)) return Number(value) * 1000
  const date = HTTP_DATE.test(value) ? Date.parse(value) : Number.NaN
  return Number.isNaN(date) ? undefined : Math.max(0, date - now)
}

const hostOf = (vaultUri: string): string => URL.parse(vaultUri)?.host ?? vaultUri
