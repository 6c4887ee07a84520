import { AdministratorError, connectAdministrator } from '../folder/administrator-client.ts'
import { UsageError } from '../base/usage-error.ts'

interface ShownClock {
  readonly time: string
  readonly systemTime: string
  readonly offsetSeconds: number
}

const SECONDS: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3600, d: 86_400, w: 604_800, y: 31_557_600 }
const PATH = '/ownkey/clock'

/** Shows or moves the clock of a running cloud that was started with `--clock-control`. Resolves to the exit code. */
export async function clock(options: {
  dataDir: string
  action: string
  argument: string | undefined
  format: string
}): Promise<number> {
  const request = requestOf(options.action, options.argument)
  const client = await connectAdministrator(options.dataDir)
  const shown = await client.call<ShownClock>(request.method, PATH, request.body).catch((error: unknown) => {
    if (!(error instanceof AdministratorError) || error.status !== 404) throw error
    // Without --clock-control it is the machine's own clock.
    if (options.action === 'show') return machineClock()
    throw new Error("This cloud's clock can't be moved: start it with --clock-control.", {
      cause: error,
    })
  })
  process.stdout.write(options.format === 'json' ? `${JSON.stringify(shown)}\n` : sentence(shown))
  return 0
}

function machineClock(): ShownClock {
  const now = new Date().toISOString()
  return { time: now, systemTime: now, offsetSeconds: 0 }
}

function requestOf(action: string, argument: string | undefined): { method: string; body?: object } {
  if (action === 'advance') return { method: 'PUT', body: { advanceSeconds: secondsOf(argument ?? '') } }
  if (action === 'set') return { method: 'PUT', body: { time: timeOf(argument ?? '') } }
  if (argument !== undefined) throw new UsageError(`'clock ${action}' takes nothing more: what is '${argument}'?`)
  if (action === 'show') return { method: 'GET' }
  if (action === 'reset') return { method: 'DELETE' }
  throw new UsageError(`There is no 'clock ${action}': use show, advance 91d, set 2027-01-31T08:00:00Z or reset.`)
}

function secondsOf(text: string): number {
  const match = /^(\d{1,9})([smhdwy])$/.exec(text)
  const seconds = Number(match?.[1]) * (SECONDS[match?.[2] ?? ''] ?? 0)
  if (match !== null && seconds > 0) return seconds
  throw new UsageError(`'${text}' is not a length of time: use for example 91d, 36h or 10s. To go back: set or reset.`)
}

function timeOf(text: string): string {
  const time = /^\d{4}-\d\d-\d\d/.test(text)
    ? Date.parse(text.includes('T') && !/(Z|[+-]\d\d:\d\d)$/i.test(text) ? `${text}Z` : text)
    : Number.NaN
  if (!Number.isNaN(time)) return new Date(time).toISOString()
  throw new UsageError(`'${text}' is not a time: use for example 2027-01-31 or 2027-01-31T08:00:00Z (UTC).`)
}

function sentence({ time, offsetSeconds }: ShownClock): string {
  if (offsetSeconds === 0) return `${time}, as on this machine\n`
  return `${time}, ${spoken(Math.abs(offsetSeconds))} ${offsetSeconds > 0 ? 'ahead of' : 'behind'} this machine\n`
}

function spoken(seconds: number): string {
  const days = Math.floor(seconds / 86_400)
  const hours = Math.floor((seconds % 86_400) / 3600)
  const minutes = Math.floor((seconds % 3600) / 60)
  const parts = [
    [days, 'day'],
    [hours, 'hour'],
    [minutes, 'minute'],
    [seconds % 60, 'second'],
  ] as const
  return parts
    .filter(([count]) => count > 0)
    .slice(0, 2)
    .map(([count, unit]) => `${count} ${unit}${count === 1 ? '' : 's'}`)
    .join(' ')
}
