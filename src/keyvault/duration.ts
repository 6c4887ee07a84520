export interface Duration {
  readonly months: number
  readonly days: number
}

/** ISO 8601 durations of whole years, months, weeks and days (`P18M`, `P90D`), up to 1,000 years; undefined for anything else. */
export function parseDuration(text: string): Duration | undefined {
  const match = /^P(?:(\d{1,4})Y)?(?:(\d{1,5})M)?(?:(\d{1,5})W)?(?:(\d{1,6})D)?$/i.exec(text)
  if (match === null || text.length < 3) return undefined
  const [years = 0, months = 0, weeks = 0, days = 0] = match.slice(1).map(part => Number(part ?? 0))
  const duration = { months: years * 12 + months, days: weeks * 7 + days }
  const long = duration.months > 12_000 || duration.days > 366_000
  return long || duration.months + duration.days === 0 ? undefined : duration
}

/** Milliseconds since 1970, `sign` durations later: months first (the day is clamped to the month's last), then days. */
export function addDuration(at: number, { months, days }: Duration, sign: 1 | -1 = 1): number {
  const date = new Date(at)
  const day = date.getUTCDate()
  date.setUTCDate(1)
  date.setUTCMonth(date.getUTCMonth() + sign * months)
  const lastDay = new Date(Date.UTC(date.getUTCFullYear(), date.getUTCMonth() + 1, 0)).getUTCDate()
  date.setUTCDate(Math.min(day, lastDay))
  return date.getTime() + sign * days * 86_400_000
}

/** For comparisons with Azure's limits. A month counts as 30 days, a year as 365. */
export function approximateDays({ months, days }: Duration): number {
  return Math.floor(months / 12) * 365 + (months % 12) * 30 + days
}
