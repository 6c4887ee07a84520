import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import type { AdministratorClient } from '../folder/administrator-client.ts'

/** Files and records in the folder that belong to nothing. */
export interface LeftoversFinding {
  /** Names of sealed files that no record names; undefined: not known, since a record was changed outside. */
  readonly sealedFiles?: readonly string[]
  /** Sealed files so young that their record may still be to come. */
  readonly young: number
  /** Ids of accounts that are gone, and the collections that hold something of theirs. */
  readonly accounts: readonly string[]
  readonly collections: readonly string[]
}

interface Answer {
  readonly sealedFiles?: readonly string[]
  readonly ofGoneAccounts: { readonly accounts: readonly string[]; readonly collections: readonly string[] }
}

/** A commit never comes this long after the file that it names. Minutes. */
const YOUNG_MINUTES = 10
const AGAIN_MS = 1000
const SHOWN = 3

/** Looks twice, since something that is being stored or destroyed at this moment is not a leftover. */
export async function findLeftovers(client: AdministratorClient, dataDir: string): Promise<LeftoversFinding> {
  const look = (): Promise<Answer> => client.call<Answer>('GET', '/ownkey/leftovers')
  let found = await look()
  if ((found.sealedFiles ?? []).length > 0 || found.ofGoneAccounts.accounts.length > 0) {
    await setTimeout(AGAIN_MS)
    const [first, again] = [found, await look()]
    const accounts = again.ofGoneAccounts.accounts.filter(id => first.ofGoneAccounts.accounts.includes(id))
    const sealedFiles = again.sealedFiles?.filter(name => first.sealedFiles?.includes(name) !== false)
    const ofGoneAccounts = { accounts, collections: again.ofGoneAccounts.collections }
    found = { ...(sealedFiles === undefined ? {} : { sealedFiles }), ofGoneAccounts }
  }
  const old: string[] = []
  let young = 0
  for (const name of found.sealedFiles ?? []) {
    const age = await minutesOld(join(dataDir, 'blobs', name.slice(0, 2), name))
    if (age === undefined) continue
    if (age < YOUNG_MINUTES) young += 1
    else old.push(name)
  }
  return { ...(found.sealedFiles === undefined ? {} : { sealedFiles: old }), young, ...found.ofGoneAccounts }
}

/** Undefined where it is gone. */
async function minutesOld(path: string): Promise<number | undefined> {
  const found = await stat(path).catch(() => undefined)
  return found === undefined ? undefined : (Date.now() - found.mtimeMs) / 60_000
}

export function isClean({ sealedFiles = [], accounts }: LeftoversFinding): boolean {
  return sealedFiles.length === 0 && accounts.length === 0
}

/** Lines of the report. */
export function leftoversReport(finding: LeftoversFinding): string[] {
  const { sealedFiles, young, accounts, collections } = finding
  const list = (names: readonly string[]): string =>
    names.length > SHOWN ? `${names.slice(0, SHOWN).join(', ')}, …` : names.join(', ')
  const files = sealedFiles?.length ?? 0
  return [
    ...(isClean(finding) && sealedFiles !== undefined
      ? ['yes  each sealed file is named by a record, and each data key belongs to an account']
      : []),
    ...(files === 0
      ? []
      : [
          `NO   ${files} sealed ${files === 1 ? 'file is' : 'files are'} named by no record: ${list(sealedFiles ?? [])}`,
        ]),
    ...(accounts.length === 0
      ? []
      : [
          `NO   ${collections.join(', ')} of ${accounts.length} ${accounts.length === 1 ? 'account that is' : 'accounts that are'} gone: ${list(accounts)}`,
        ]),
    ...(sealedFiles === undefined
      ? ['note sealed files were not looked at: a record of a blob was changed outside, and may name one.']
      : []),
    ...(young === 0
      ? []
      : [
          `note ${young} sealed ${young === 1 ? 'file' : 'files'} of the last ${YOUNG_MINUTES} minutes ${young === 1 ? 'has' : 'have'} no record yet.`,
        ]),
  ]
}
