import { MessageBar, MessageBarBody, MessageBarTitle } from '@fluentui/react-components'
import type { Account } from '../../api/arm.ts'

const TITLES: Readonly<Record<string, string>> = {
  IdentityOff: 'The identity is off',
  IdentityWithoutAccess: 'The identity has no access to the key',
  VaultNotChecked: 'The vault is outside of this cloud',
}

/** The service's warnings about the account's key. */
export function EncryptionWarnings({ account }: { account: Account }) {
  return (account.properties.encryption?.warnings ?? []).map(({ code, message }) => (
    <MessageBar key={code} intent="warning" layout="multiline" className="spaced">
      <MessageBarBody>
        <MessageBarTitle>{TITLES[code] ?? code}</MessageBarTitle>
        {message}
      </MessageBarBody>
    </MessageBar>
  ))
}
