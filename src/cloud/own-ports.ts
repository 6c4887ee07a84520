import { allRecords } from '../store/every-record.ts'
import { collection, put, type RecordStore } from '../store/records.ts'

/** By port number. */
const ports = collection<object>('own-ports')

/** Remembers that this cloud listens on the port. Resolves to every port it has listened on, since key URIs name them. */
export async function rememberPort(records: RecordStore, port: number): Promise<ReadonlySet<number>> {
  if ((await records.get(ports, String(port))) === undefined)
    await records.commit([put(ports, String(port), {})], { reserve: 'small' })
  const known = await allRecords(records, ports)
  return new Set([port, ...known.map(({ id }) => Number(id))])
}
