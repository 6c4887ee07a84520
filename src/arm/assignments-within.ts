import { allRecords } from '../store/every-record.ts'
import { remove, type Change, type RecordStore } from '../store/records.ts'
import { assignmentPrefix, roleAssignments } from './records.ts'
import { isWithin } from './resource-id.ts'

/** Removes the assignments at and below a scope that is gone for good, so that a later one of that name starts without any. */
export async function assignmentsWithin(records: RecordStore, scope: string): Promise<Change[]> {
  const near = await allRecords(records, roleAssignments, { prefix: assignmentPrefix(scope, '') })
  return near.filter(({ value }) => isWithin(value.scope, scope)).map(({ id }) => remove(roleAssignments, id))
}
