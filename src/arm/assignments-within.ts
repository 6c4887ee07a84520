import { allRecords } from '../store/every-record.ts'
import { remove, type Change, type RecordStore } from '../store/records.ts'
import { assignmentPrefix, roleAssignments } from './records.ts'
import { isWithin } from './resource-id.ts'

/** Takes away what was assigned at something that is gone for good, and below: a later one of that name starts anew. */
export async function assignmentsWithin(records: RecordStore, scope: string): Promise<Change[]> {
  const near = await allRecords(records, roleAssignments, { prefix: assignmentPrefix(scope, '') })
  return near.filter(({ value }) => isWithin(value.scope, scope)).map(({ id }) => remove(roleAssignments, id))
}
