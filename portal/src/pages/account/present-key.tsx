import { MessageBar, MessageBarActions, MessageBarBody, MessageBarTitle } from '@fluentui/react-components'
import { Link } from 'wouter'
import type { Account, Vault } from '../../api/arm.ts'
import { fixingStep, newerVersion, presentVersion } from '../../api/attention.ts'
import { kidParts, type KeyItem } from '../../api/vault.ts'
import { EncryptionBadge } from '../../parts/encryption-badge.tsx'
import { Copyable, Facts, time } from '../../parts/facts.tsx'
import { EncryptionWarnings } from './warnings.tsx'

/** The data's current key, whether it can be used, and since when. */
export function PresentKey(props: {
  readonly account: Account
  readonly vault: Vault | undefined
  readonly versions: readonly KeyItem[] | undefined
}) {
  const { account, vault, versions } = props
  const { keyVaultProperties: key, status } = account.properties.encryption ?? {}
  if (key === undefined) return <Facts facts={{ 'Protected by': <EncryptionBadge account={account} /> }} />
  const version = status?.keyIdentifier === undefined ? key.keyVersion : kidParts(status.keyIdentifier).version
  const isLost = status?.state === 'KeyUnavailable'
  const expiry = presentVersion(account, versions)?.attributes.exp
  const name =
    vault === undefined ? (
      key.keyName
    ) : (
      <Link className="link" href={`/resource${vault.id}/keys/${key.keyName}`}>
        {key.keyName}
      </Link>
    )
  return (
    <>
      {isLost && <Unavailable account={account} vault={vault} />}
      <EncryptionWarnings account={account} />
      <Facts
        facts={{
          'Protected by': <EncryptionBadge account={account} />,
          Status: isLost ? `Key unavailable since ${time(status.since)}` : `Active since ${time(status?.since)}`,
          'Key vault': <Copyable value={key.keyVaultUri} label="the vault URI" />,
          Key: name,
          'Current version': <VersionFact version={version ?? ''} follows={!key.keyVersion} />,
          'Newer version': newerFact(account, versions),
          ...(expiry === undefined ? {} : { Expires: time(expiry) }),
          'Stored before this key': earlierFact(status?.earlierGenerationBlobs),
          'Last seen available': time(status?.lastSuccess),
          'Last checked': time(status?.lastChecked),
        }}
      />
    </>
  )
}

function VersionFact({ version, follows }: { version: string; follows: boolean }) {
  return (
    <>
      <span className="mono">{version || '-'}</span>
      {follows && <div className="small muted">The newest: rotations are followed by themselves.</div>}
    </>
  )
}

/** Re-encryption is further down on the same page. */
function earlierFact(blobs = 0): string {
  return blobs === 0
    ? 'Nothing is left under an earlier data key'
    : `${blobs} ${blobs === 1 ? 'blob is' : 'blobs are'} still under an earlier data key: re-encrypt moves them`
}

function newerFact(account: Account, versions: readonly KeyItem[] | undefined): string {
  if (versions === undefined) return 'Not known: its versions can’t be listed from here'
  const newer = newerVersion(account, versions)
  return newer === undefined ? 'None' : `${kidParts(newer.kid).version}, of ${time(newer.attributes.created)}`
}

function Unavailable({ account, vault }: { account: Account; vault: Vault | undefined }) {
  const { status } = account.properties.encryption ?? {}
  const { href, step } = fixingStep(account, vault, status?.cause)
  return (
    <MessageBar intent="error" layout="multiline" className="spaced">
      <MessageBarBody>
        <MessageBarTitle>Key unavailable: {status?.cause ?? 'no cause was given'}</MessageBarTitle>
        {status?.message ?? 'The vault does not let the resource use its key.'} Until then downloads, new jobs and new
        deployments fail; what is deployed keeps serving.
      </MessageBarBody>
      {!href.endsWith('/encryption') && (
        <MessageBarActions>
          <Link className="link" href={href}>
            {step}
          </Link>
        </MessageBarActions>
      )}
    </MessageBar>
  )
}
