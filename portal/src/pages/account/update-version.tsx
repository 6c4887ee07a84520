import { Button } from '@fluentui/react-components'
import { useQuery, type UseQueryResult } from '@tanstack/react-query'
import { useState } from 'react'
import type { Account, Vault } from '../../api/arm.ts'
import { newerVersion } from '../../api/attention.ts'
import { useRefresh } from '../../api/hooks.ts'
import { kidParts, vaultList, type KeyItem } from '../../api/vault.ts'
import { Confirm } from '../../parts/confirm.tsx'
import { changeKey } from './save-encryption.ts'

/** The versions of the account's key; disabled where the user can't reach its vault. */
export function useVersions(account: Account, vault: Vault | undefined): UseQueryResult<KeyItem[]> {
  const uri = vault?.properties.vaultUri
  const name = account.properties.encryption?.keyVaultProperties?.keyName
  return useQuery({
    queryKey: ['versions', uri, name],
    queryFn: () => vaultList<KeyItem>(uri ?? '', `/keys/${name}/versions`),
    enabled: uri !== undefined && name !== undefined,
    retry: false,
  })
}

/** R16, R18: to the newest version of the same key, where the account names an older one. */
export function UpdateVersion(props: {
  readonly account: Account
  readonly versions: readonly KeyItem[] | undefined
  readonly onDone: (said: string) => void
}) {
  const { account, versions, onDone } = props
  const [asking, setAsking] = useState(false)
  const refresh = useRefresh()
  const key = account.properties.encryption?.keyVaultProperties
  const newer = newerVersion(account, versions)
  if (key === undefined) return null
  const version = newer === undefined ? '' : kidParts(newer.kid).version
  const update = async (): Promise<void> => {
    await changeKey(account, { ...key, keyVersion: version })
    onDone(`Saved: the data is under version ${version}.`)
    await refresh()
  }
  return (
    <>
      <Button disabled={newer === undefined} onClick={() => setAsking(true)}>
        Update version
      </Button>
      {asking && (
        <Confirm
          title={`Update ${key.keyName} to its newest version?`}
          action="Update version"
          onConfirm={update}
          onClose={() => setAsking(false)}
        >
          <p>
            From <span className="mono">{key.keyVersion}</span> to <span className="mono">{version}</span>. The data
            keys are re-wrapped; the data itself is not touched. Afterwards the old version may be disabled.
          </p>
        </Confirm>
      )}
    </>
  )
}
