import { collection, put, type RecordStore } from './store/records.ts'

/** By port number. */
const ports = collection<object>('own-ports')
const MAX_PORTS = 1000

/** Remembers that this cloud listens on the port. Resolves to every port it has listened on: key URIs name them. */
export async function rememberPort(records: RecordStore, port: number): Promise<ReadonlySet<number>> {
  if ((await records.get(ports, String(port))) === undefined) await records.commit([put(ports, String(port), {})])
  const known = await records.list(ports, { limit: MAX_PORTS })
  return new Set([port, ...known.map(({ id }) => Number(id))])
}
