import { Badge } from '@fluentui/react-components'
import type { Account } from '../api/arm.ts'

/** The kind of key, and whether it can be used. */
export function EncryptionBadge({ account }: { account: Account }) {
  const { encryption } = account.properties
  if (encryption?.keySource !== 'Microsoft.KeyVault') return <Badge appearance="outline">Microsoft-managed keys</Badge>
  const isActive = (encryption.status?.state ?? 'Active') === 'Active'
  if (!isActive) return <Badge color="danger">Key unavailable</Badge>
  const key = encryption.keyVaultProperties?.keyName ?? ''
  return (
    <Badge color="success" title={key}>
      <span className="cut">Customer-managed key {key}</span>
    </Badge>
  )
}
