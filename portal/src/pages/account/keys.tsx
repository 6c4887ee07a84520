import { Button } from '@fluentui/react-components'
import { useQuery } from '@tanstack/react-query'
import { useState } from 'react'
import { arm, VERSIONS, type Account } from '../../api/arm.ts'
import { forgetKeys } from '../../api/openai.ts'
import { Confirm } from '../../parts/confirm.tsx'
import { Copyable, Facts } from '../../parts/facts.tsx'
import { Loaded } from '../../parts/states.tsx'

interface Keys {
  readonly key1: string
  readonly key2: string
}

export function KeysAndEndpoint({ account }: { account: Account }) {
  const [shown, setShown] = useState(false)
  const [renewing, setRenewing] = useState<'Key1' | 'Key2'>()
  const keys = useQuery({
    queryKey: ['keys', account.id],
    queryFn: () => arm<Keys>(`${account.id}/listKeys`, VERSIONS.accounts, { method: 'POST' }),
    gcTime: 0,
  })
  const renew = async (keyName: 'Key1' | 'Key2'): Promise<void> => {
    await arm(`${account.id}/regenerateKey`, VERSIONS.accounts, { method: 'POST', body: { keyName } })
    forgetKeys(account)
    await keys.refetch()
  }
  return (
    <>
      <div className="commands">
        <Button onClick={() => setShown(!shown)}>{shown ? 'Hide keys' : 'Show keys'}</Button>
        <Button onClick={() => setRenewing('Key1')}>Regenerate Key 1</Button>
        <Button onClick={() => setRenewing('Key2')}>Regenerate Key 2</Button>
      </div>
      <p className="muted">
        These keys open all data of this resource, and nothing of any other. Use one of them at a time, so that the
        other can be regenerated.
      </p>
      <Loaded query={keys} what="keys">
        {({ key1, key2 }) => (
          <Facts
            facts={{
              'KEY 1': <Copyable value={key1} label="key 1" hidden={!shown} />,
              'KEY 2': <Copyable value={key2} label="key 2" hidden={!shown} />,
              'Location/Region': account.location,
              Endpoint: <Copyable value={account.properties.endpoint} label="the endpoint" />,
            }}
          />
        )}
      </Loaded>
      {renewing !== undefined && (
        <Confirm
          title={`Regenerate ${renewing}?`}
          action="Regenerate"
          onConfirm={() => renew(renewing)}
          onClose={() => setRenewing(undefined)}
        >
          <p>Whoever uses the present {renewing} is refused from then on.</p>
        </Confirm>
      )}
    </>
  )
}
