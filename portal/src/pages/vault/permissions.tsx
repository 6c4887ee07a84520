import { Button, Checkbox } from '@fluentui/react-components'

const GROUPS: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  'Key Management Operations': {
    get: 'Get',
    list: 'List',
    update: 'Update',
    create: 'Create',
    import: 'Import',
    delete: 'Delete',
    recover: 'Recover',
    backup: 'Backup',
    restore: 'Restore',
  },
  'Cryptographic Operations': {
    decrypt: 'Decrypt',
    encrypt: 'Encrypt',
    unwrapKey: 'Unwrap Key',
    wrapKey: 'Wrap Key',
    verify: 'Verify',
    sign: 'Sign',
  },
  'Privileged Key Operations': { purge: 'Purge', release: 'Release' },
  'Rotation Policy Operations': {
    rotate: 'Rotate',
    getrotationpolicy: 'Get Rotation Policy',
    setrotationpolicy: 'Set Rotation Policy',
  },
}

/** Every permission on keys, as the API spells it. */
export const KEY_PERMISSIONS = Object.values(GROUPS).flatMap(group => Object.keys(group))

/** What people call it. */
export const permissionLabel = (name: string): string =>
  Object.assign({}, ...Object.values(GROUPS))[name] ?? (name === 'all' ? 'All' : name)

const TEMPLATES: Readonly<Record<string, readonly string[]>> = {
  'Customer-managed key': ['get', 'wrapkey', 'unwrapkey'],
  'Key management': Object.keys(GROUPS['Key Management Operations'] ?? {}),
  'Select all': KEY_PERMISSIONS.map(name => name.toLowerCase()),
}

/** @param chosen in lower case */
export function Permissions(props: {
  readonly chosen: ReadonlySet<string>
  readonly onChange: (next: ReadonlySet<string>) => void
}) {
  const { chosen, onChange } = props
  const set = (name: string, isOn: boolean): void => {
    const next = new Set(chosen)
    if (isOn) next.add(name.toLowerCase())
    else next.delete(name.toLowerCase())
    onChange(next)
  }
  return (
    <>
      <div className="row" role="group" aria-label="Templates">
        {Object.entries(TEMPLATES).map(([name, permissions]) => (
          <Button key={name} size="small" onClick={() => onChange(new Set(permissions))}>
            {name}
          </Button>
        ))}
      </div>
      <h3 className="section">Key permissions</h3>
      {Object.entries(GROUPS).map(([group, names]) => (
        <fieldset key={group} className="plain">
          <legend className="small muted">{group}</legend>
          <div className="permissions">
            {Object.entries(names).map(([name, label]) => (
              <Checkbox
                key={name}
                label={label}
                checked={chosen.has(name.toLowerCase())}
                onChange={(_, { checked }) => set(name, checked === true)}
              />
            ))}
          </div>
        </fieldset>
      ))}
    </>
  )
}
