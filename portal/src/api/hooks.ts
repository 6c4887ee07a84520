import { useQuery, useQueryClient, type UseQueryResult } from '@tanstack/react-query'
import { useCallback } from 'react'
import { config } from './config.ts'
import { call } from './http.ts'
import { getAccount, getVault, listResources, type Account, type Vault } from './arm.ts'

const LIST_MS = 15_000
/** How many accounts are read one by one, which makes the service ask their vaults. The list has the last known state of others. */
const MAX_ASKED = 50

async function listAccounts(): Promise<Account[]> {
  const listed = await listResources<Account>('accounts')
  const isAsked = ({ properties }: Account): boolean => properties.encryption?.keySource === 'Microsoft.KeyVault'
  const asked = new Set(listed.filter(isAsked).slice(0, MAX_ASKED))
  return Promise.all(
    listed.map(async account => (asked.has(account) ? getAccount(account.id).catch(() => account) : account)),
  )
}

export const useAccounts = (): UseQueryResult<Account[]> =>
  useQuery({ queryKey: ['accounts'], queryFn: listAccounts, refetchInterval: LIST_MS })

export const useVaults = (): UseQueryResult<Vault[]> =>
  useQuery({ queryKey: ['vaults'], queryFn: () => listResources<Vault>('vaults'), refetchInterval: LIST_MS })

export const useAccount = (id: string): UseQueryResult<Account> =>
  useQuery({ queryKey: ['resource', id], queryFn: () => getAccount(id), refetchInterval: 15_000 })

export const useVault = (id: string): UseQueryResult<Vault> =>
  useQuery({ queryKey: ['resource', id], queryFn: () => getVault(id) })

/** After a change: fetches everything on the page anew, or only what is named. */
export function useRefresh(): (...names: string[]) => Promise<void> {
  const client = useQueryClient()
  return useCallback(
    async (...names: string[]) => {
      if (names.length === 0) await client.invalidateQueries()
      else await Promise.all(names.map(name => client.invalidateQueries({ queryKey: [name] })))
    },
    [client],
  )
}

/** Milliseconds of the cloud's clock, which a cloud started with --clock-control may have moved. */
export function useNow(): number {
  const { data } = useQuery({
    queryKey: ['clock'],
    queryFn: () => call<{ time: string }>(`${config().resourceManager}/ownkey/clock`, { scope: 'management' }),
    enabled: config().clockControl,
    retry: false,
  })
  return data === undefined ? Date.now() : Date.parse(data.time)
}
