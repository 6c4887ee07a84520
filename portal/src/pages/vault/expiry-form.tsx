import { Checkbox, Field, Input } from '@fluentui/react-components'
import { useState } from 'react'
import { useRefresh } from '../../api/hooks.ts'
import { kidParts, vault as vaultCall, type KeyItem } from '../../api/vault.ts'
import { Confirm } from '../../parts/confirm.tsx'

/** Sets or clears the date after which a key version no longer wraps. */
export function ExpiryForm(props: {
  readonly vaultUri: string
  readonly version: KeyItem
  readonly onClose: () => void
}) {
  const { vaultUri, version, onClose } = props
  const { name, version: id } = kidParts(version.kid)
  const { exp } = version.attributes
  const [isSet, setIsSet] = useState(exp !== undefined)
  const [date, setDate] = useState(exp === undefined ? '' : localDate(exp))
  const refresh = useRefresh()
  const seconds = Math.floor(new Date(date).getTime() / 1000)
  const save = async (): Promise<void> => {
    const body = { attributes: { exp: isSet ? seconds : null } }
    await vaultCall(vaultUri, `/keys/${name}/${id}`, { method: 'PATCH', body })
    await refresh()
  }
  return (
    <Confirm
      title={`Expiration date of ${name}`}
      action="Save"
      disabled={isSet && Number.isNaN(seconds)}
      onConfirm={save}
      onClose={onClose}
    >
      <p className="muted">
        Version <span className="mono">{id}</span>. An expired version still unwraps, so data under it stays readable;
        it wraps nothing more, so no resource can be put under it.
      </p>
      <Checkbox label="Set expiration date" checked={isSet} onChange={(_, { checked }) => setIsSet(checked === true)} />
      {isSet && (
        <Field label="Expiration date" required hint="In your local time.">
          <Input type="datetime-local" value={date} onChange={(_, { value }) => setDate(value)} />
        </Field>
      )}
    </Confirm>
  )
}

/** In the format of the browser's date field, in local time. */
function localDate(seconds: number): string {
  const date = new Date(seconds * 1000)
  return new Date(date.getTime() - date.getTimezoneOffset() * 60_000).toISOString().slice(0, 16)
}
