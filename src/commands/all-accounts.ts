import type { AdministratorClient } from '../folder/administrator-client.ts'

const ACCOUNTS = 'providers/Microsoft.CognitiveServices/accounts?api-version=2025-06-01'

/** The accounts of every subscription that the administrator sees, which are all of their tenant. */
export async function allAccounts<T>(client: AdministratorClient): Promise<T[]> {
  const all = async <Item>(first: string): Promise<Item[]> => {
    const found: Item[] = []
    for (let path: string | undefined = first; path !== undefined;) {
      const page: { value: Item[]; nextLink?: string } = await client.call('GET', path)
      found.push(...page.value)
      const next = page.nextLink === undefined ? undefined : new URL(page.nextLink)
      path = next && `${next.pathname}${next.search}`
    }
    return found
  }
  const accounts: T[] = []
  for (const { id } of await all<{ id: string }>('/subscriptions?api-version=2022-12-01'))
    accounts.push(...(await all<T>(`${id}/${ACCOUNTS}`)))
  return accounts
}
