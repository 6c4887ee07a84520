import { Conflict } from '../../http/errors.ts'
import { empty, json } from '../../http/respond.ts'
import type { Call, Route } from '../../http/route.ts'
import { put } from '../../store/records.ts'
import { applications, type FederatedCredential } from '../records.ts'
import { federatedBody, shownFederated } from './application-shape.ts'
import { applicationOf, resourceOf } from './applications.ts'
import { badRequest, commitAs, graphRoute, notFound, type GraphHandler, type GraphOptions } from './graph-route.ts'

const most = 20
const path = '/applications/:id/federatedidentitycredentials'

/** Issuers whose tokens an application logs in with (workload identity federation). */
export function federatedCredentialRoutes(options: GraphOptions): Route[] {
  const list: GraphHandler = async (call, caller) => {
    const { value } = await applicationOf(options, call, caller)
    return json({ value: (value.federatedCredentials ?? []).map(shownFederated) })
  }
  const one: GraphHandler = async (call, caller) => {
    const { value } = await applicationOf(options, call, caller)
    return json(shownFederated(named(value.federatedCredentials ?? [], call)))
  }
  const change = (make: (known: readonly FederatedCredential[], call: Call) => Promise<Change>): GraphHandler => {
    return async (call, caller) => {
      const found = await applicationOf(options, call, caller)
      const { credentials, answer } = await make(found.value.federatedCredentials ?? [], call)
      const operation = { name: 'Update application – Federated credentials', resource: resourceOf(found.value) }
      const application = { ...found.value, federatedCredentials: credentials }
      await commitAs(options.records, operation, [put(applications, found.id, application, found.version)])
      return answer
    }
  }
  return [
    graphRoute(options, 'GET', path, list),
    graphRoute(options, 'GET', `${path}/:credential`, one),
    graphRoute(
      options,
      'POST',
      path,
      change((known, call) => add(options, known, call)),
    ),
    graphRoute(options, 'PATCH', `${path}/:credential`, change(update)),
    graphRoute(options, 'DELETE', `${path}/:credential`, change(drop)),
  ]
}

interface Change {
  readonly credentials: readonly FederatedCredential[]
  readonly answer: Response
}

async function add({ env }: GraphOptions, known: readonly FederatedCredential[], call: Call): Promise<Change> {
  const { description, ...body } = await call.json(federatedBody)
  if (known.length >= most) throw badRequest(`An application has at most ${most} federated credentials.`)
  const credential = { id: env.uuid(), ...body, ...(description ? { description } : {}) }
  const credentials = [...known, credential]
  checkDistinct(credentials)
  return { credentials, answer: json(shownFederated(credential), { status: 201 }) }
}

async function update(known: readonly FederatedCredential[], call: Call): Promise<Change> {
  const old = named(known, call)
  const { description, name: _, ...body } = await call.json(federatedBody.partial())
  const credential: FederatedCredential = {
    ...old,
    ...(body.issuer === undefined ? {} : { issuer: body.issuer }),
    ...(body.subject === undefined ? {} : { subject: body.subject }),
    ...(body.audiences === undefined ? {} : { audiences: body.audiences }),
    ...(description ? { description } : {}),
  }
  const credentials = known.map(other => (other.id === old.id ? credential : other))
  checkDistinct(credentials)
  return { credentials, answer: empty(204) }
}

async function drop(known: readonly FederatedCredential[], call: Call): Promise<Change> {
  const { id } = named(known, call)
  return { credentials: known.filter(other => other.id !== id), answer: empty(204) }
}

/** By id or by name. */
function named(known: readonly FederatedCredential[], call: Call): FederatedCredential {
  const asked = call.params['credential'] ?? ''
  const found = known.find(({ id, name }) => id === asked.toLowerCase() || name === asked)
  if (found === undefined) throw notFound(asked)
  return found
}

function checkDistinct(credentials: readonly FederatedCredential[]): void {
  const names = new Set(credentials.map(({ name }) => name))
  const proofs = new Set(credentials.map(({ issuer, subject }) => `${issuer} ${subject}`))
  if (names.size === credentials.length && proofs.size === credentials.length) return
  const message =
    'A federated credential with the same name, or the same issuer and subject, already exists on this application.'
  throw new Conflict('Request_MultipleObjectsWithSameKeyValue', message)
}
