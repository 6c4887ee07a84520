import { z } from 'zod'
import type { AuditSink } from '../audit/audit-event.ts'
import { noteOperation } from '../audit/request-context.ts'
import { AzureError } from '../http/errors.ts'
import { json } from '../http/respond.ts'
import type { Route } from '../http/route.ts'
import type { ControlledClock } from './controlled-clock.ts'

export interface ClockOptions {
  readonly clock: ControlledClock
  readonly audit: AuditSink
  /** Does what is due at the new time. The response waits for it. */
  readonly moved: () => Promise<void>
}

const EARLIEST = Date.UTC(2000, 0, 1)
const LATEST = Date.UTC(2200, 0, 1)
const MAX_ADVANCE_SECONDS = 200 * 366 * 86_400

const moveBody = z
  .strictObject({
    time: z.iso.datetime({ offset: true }).optional(),
    advanceSeconds: z.number().int().min(1).max(MAX_ADVANCE_SECONDS).optional(),
  })
  .refine(body => (body.time === undefined) !== (body.advanceSeconds === undefined), {
    message: "give either 'time' or 'advanceSeconds'",
  })

/** The clock for its administrator; these routes exist only in a cloud that was started with `--clock-control`. */
export function clockRoutes(options: ClockOptions): Route[] {
  const { clock } = options
  const base = { host: 'management', auth: 'administrator', path: '/ownkey/clock', maxBody: 0 } as const
  return [
    {
      ...base,
      method: 'GET',
      handler: () => {
        noteOperation({ operationName: 'OwnKey/clock/read' })
        return json(shown(clock))
      },
    },
    {
      ...base,
      method: 'PUT',
      maxBody: 1024,
      handler: async call => {
        noteOperation({ operationName: 'OwnKey/clock/write' })
        const { time, advanceSeconds = 0 } = await call.json(moveBody)
        const target = time === undefined ? clock.env.now() + advanceSeconds * 1000 : Date.parse(time)
        return move(options, target - clock.systemNow())
      },
    },
    { ...base, method: 'DELETE', handler: () => move(options, 0) },
  ]
}

async function move({ clock, audit, moved }: ClockOptions, offset: number): Promise<Response> {
  const target = clock.systemNow() + offset
  if (target < EARLIEST || target > LATEST) {
    const message = 'The clock can be set to times from 2000-01-01 to 2200-01-01 only.'
    throw new AzureError('BadRequest', 400, message, { target: 'time' })
  }
  const from = new Date(clock.env.now()).toISOString()
  const to = new Date(target).toISOString()
  const entry = {
    operationName: 'OwnKey/clock/write',
    category: 'AuditEvent',
    resultType: 'Success',
    resultDescription: `The clock was moved from ${from} to ${to}.`,
    properties: { from, to },
  } as const
  await audit.append(entry, [clock.change(offset)])
  clock.apply(offset)
  await moved()
  return json(shown(clock))
}

function shown(clock: ControlledClock): object {
  return {
    time: new Date(clock.env.now()).toISOString(),
    systemTime: new Date(clock.systemNow()).toISOString(),
    offsetSeconds: Math.round(clock.offset() / 1000),
  }
}
