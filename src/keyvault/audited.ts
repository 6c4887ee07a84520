import { AzureError, Conflict } from '../http/errors.ts'
import { empty, json } from '../http/respond.ts'
import type { Call } from '../http/route.ts'
import { ShredIncomplete, VersionConflict, type Change } from '../store/records.ts'
import { CommitUnknown } from '../store/storage-errors.ts'
import { auditEvent } from '../audit/audit-event.ts'
import { innermostCode } from '../audit/request-audit.ts'
import type { KeyVaultServices } from './services.ts'

/** The changes and the answer of an operation. Changes and audit record are committed together, then the answer is sent. */
export interface Outcome {
  readonly status?: number
  readonly body?: unknown
  readonly headers?: Readonly<Record<string, string>>
  readonly changes?: readonly Change[]
  /** The answer waits until the old bytes of removed records are gone from the store's files. */
  readonly shred?: boolean
  /** For the audit record: `kid` or resource id. */
  readonly id?: string
  /** What it was about, where only the request's body says that. */
  readonly operationName?: string
  readonly properties?: Readonly<Record<string, unknown>>
  /** Runs after the commit, before the answer. */
  readonly afterwards?: () => void | Promise<void>
}

export interface AuditName {
  readonly operationName: string
  readonly resourceId: string
  readonly id?: string
}

export interface Operation {
  /** Runs once, before `run`: reads the body. */
  readonly prepare: () => Promise<void>
  /** Runs again when a record was changed meanwhile. */
  readonly run: () => Promise<Outcome>
  /** Operations with the same name change the same thing, and wait for each other. */
  readonly turn?: string | undefined
}

const ATTEMPTS = 5

/**
 * Runs an operation, allowed or refused, under exactly one audit record (R05). When a record was changed meanwhile, it
 * runs again on the new state. @throws what the operation throws, after it was recorded
 */
export async function audited(
  services: KeyVaultServices,
  call: Call,
  name: AuditName,
  operation: Operation,
): Promise<Response> {
  const started = performance.now()
  try {
    await operation.prepare()
    const commit = (): Promise<Response> => commitOutcome(services, call, name, operation.run, started)
    return await (operation.turn === undefined ? commit() : services.inTurn(operation.turn, commit))
  } catch (error) {
    // ADR 0023: the outcome is unknown, so the log says nothing about it.
    if (error instanceof CommitUnknown) throw error
    await services.audit.append(
      auditEvent(call, services.env.now(), {
        ...name,
        status: error instanceof AzureError ? error.status : 500,
        description: error instanceof AzureError ? error.message : 'Internal error',
        durationMs: performance.now() - started,
        ...(error instanceof AzureError ? { properties: { errorCode: innermostCode(error) } } : {}),
      }),
    )
    throw error
  }
}

async function commitOutcome(
  services: KeyVaultServices,
  call: Call,
  name: AuditName,
  run: () => Promise<Outcome>,
  started: number,
): Promise<Response> {
  for (let attempt = 1; attempt <= ATTEMPTS; attempt++) {
    const outcome = await run()
    const status = outcome.status ?? (outcome.body === undefined ? 204 : 200)
    const entry = auditEvent(call, services.env.now(), {
      ...name,
      operationName: outcome.operationName ?? name.operationName,
      id: outcome.id ?? name.id,
      status,
      durationMs: performance.now() - started,
      ...(outcome.properties === undefined ? {} : { properties: outcome.properties }),
    })
    try {
      await services.audit.append(entry, outcome.changes ?? [], { shred: outcome.shred ?? false })
    } catch (error) {
      if (error instanceof VersionConflict) continue
      if (error instanceof ShredIncomplete) await outcome.afterwards?.()
      throw error
    }
    await outcome.afterwards?.()
    return outcome.body === undefined ? empty(status, outcome.headers) : json(outcome.body, { ...outcome, status })
  }
  throw new Conflict('Conflict', 'Others change this at the same time, again and again. Try once more.')
}
