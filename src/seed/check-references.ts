import { isListedAddress } from '../http/address-ranges.ts'
import type { Problem } from './fields.ts'
import { rawField, rawList, rawText, type Raw } from './raw.ts'

interface Found {
  readonly item: Raw
  /** Undefined for the first tenant. */
  readonly directory: Raw
  readonly group: string
}

/** Checks the parts of the file against each other: duplicate names, names that nothing has, settings that contradict each other. */
export function checkReferences(file: Raw, environment: Readonly<Record<string, string | undefined>>): Problem[] {
  const tenants = rawList(file, 'tenants')
  const directories = [file, ...tenants]
  const vaults = directories.flatMap(directory => resources(directory, 'vaults'))
  const accounts = directories.flatMap(directory => resources(directory, 'accounts'))
  return [
    ...twice(rawList(file, 'models'), 'name'),
    ...twice(tenants, 'displayName'),
    ...directories.flatMap(directory => [
      ...twice(rawList(directory, 'users'), 'userPrincipalName'),
      ...twice(rawList(directory, 'applications'), 'displayName'),
      ...twice(rawList(directory, 'subscriptions'), 'displayName'),
      ...rawList(directory, 'subscriptions').flatMap(one => twice(rawList(one, 'resourceGroups'), 'name')),
      ...passwords(directory, environment),
      ...principals(directory),
    ]),
    // Unique in the whole cloud, as hosts are named after them.
    ...twice(
      vaults.map(({ item }) => item),
      'name',
    ),
    ...twice(
      accounts.map(({ item }) => item),
      'customSubDomainName',
      'name',
    ),
    ...vaults.flatMap(({ item }) => [...twice(rawList(item, 'keys'), 'name'), ...contradictions(item)]),
    ...accounts.flatMap(({ item }) => [...twice(rawList(item, 'deployments'), 'name'), ...keyOf(item, vaults)]),
  ]
}

function groups(directory: Raw): Raw[] {
  return rawList(directory, 'subscriptions').flatMap(one => rawList(one, 'resourceGroups'))
}

function resources(directory: Raw, kind: 'vaults' | 'accounts'): Found[] {
  return groups(directory).flatMap(group =>
    rawList(group, kind).map(item => ({ item, directory, group: rawText(group, 'name') ?? '' })),
  )
}

/** @param fields the first that is given counts */
function twice(items: readonly Raw[], ...fields: string[]): Problem[] {
  const seen = new Set<string>()
  return items.flatMap(item => {
    const field = fields.find(name => rawText(item, name) !== undefined)
    const name = field === undefined ? undefined : rawText(item, field)?.toLowerCase()
    if (field === undefined || name === undefined) return []
    if (!seen.has(name)) return (seen.add(name), [])
    return [{ path: [...item.at, field], message: `'${name}' is there already, above: give another` }]
  })
}

function passwords(directory: Raw, environment: Readonly<Record<string, string | undefined>>): Problem[] {
  return rawList(directory, 'users').flatMap(user => {
    const name = rawText(user, 'passwordEnv')
    if (name === undefined || (environment[name] ?? '') !== '') return []
    return [
      {
        path: [...user.at, 'passwordEnv'],
        message: `the environment variable ${name} is not set: set it to the password`,
      },
    ]
  })
}

/** Every principal that gets access has to be of the same tenant. */
function principals(directory: Raw): Problem[] {
  const subscriptions = rawList(directory, 'subscriptions')
  const [vaults, accounts] = [resources(directory, 'vaults'), resources(directory, 'accounts')]
  const holders = [...subscriptions, ...groups(directory), ...[...vaults, ...accounts].map(({ item }) => item)]
  const given = [
    ...holders.flatMap(holder => rawList(holder, 'roleAssignments')),
    ...vaults.flatMap(({ item }) => rawList(item, 'accessPolicies')),
  ]
  const names = (kind: string, field: string): string[] =>
    rawList(directory, kind).map(one => (rawText(one, field) ?? '').toLowerCase())
  const known = { user: names('users', 'userPrincipalName'), application: names('applications', 'displayName') }
  return given.flatMap(entry => [
    ...(['user', 'application'] as const).flatMap(kind => {
      const name = rawText(entry, kind)
      if (name === undefined || known[kind].includes(name.toLowerCase())) return []
      return [
        {
          path: [...entry.at, kind],
          message: `there is no ${kind} '${name}' in this tenant of the file: add it under ${kind}s, or give the objectId of one that is there`,
        },
      ]
    }),
    ...(directory.at.length > 0 && rawText(entry, 'administrator') === 'user'
      ? [
          {
            path: [...entry.at, 'administrator'],
            message: "only the first tenant has a person who administers it: use 'application'",
          },
        ]
      : []),
    ...identityProblem(entry, accounts),
  ])
}

function identityProblem(entry: Raw, accounts: readonly Found[]): Problem[] {
  const name = rawText(entry, 'identity')
  if (name === undefined) return []
  const problem = (message: string): Problem[] => [{ path: [...entry.at, 'identity'], message }]
  const named = accounts.filter(({ item, group }) => isNamed(rawText(item, 'name') ?? '', group, name))
  const [found] = named
  if (found === undefined) return problem(`there is no account '${name}' in this tenant of the file`)
  if (named.length > 1) return problem(`'${name}' names ${named.length} accounts: write <group>/${name}`)
  return hasIdentity(found.item)
    ? []
    : problem(`the account '${name}' has no identity: give it 'identity: { type: SystemAssigned }'`)
}

/** An account by its name, or by its group's and its own. */
export function isNamed(account: string, group: string, asked: string): boolean {
  return [account, `${group}/${account}`].some(name => name.toLowerCase() === asked.toLowerCase())
}

function hasIdentity(account: Raw): boolean {
  const identity = rawField(account, 'identity')
  return identity !== undefined && rawText(identity, 'type') === 'SystemAssigned'
}

function keyOf(account: Raw, vaults: readonly Found[]): Problem[] {
  const encryption = rawField(account, 'encryption')
  const wanted = encryption === undefined ? undefined : rawText(encryption, 'vault')
  if (encryption === undefined || wanted === undefined) return []
  const problem = (field: string, message: string): Problem => ({ path: [...encryption.at, field], message })
  const vault = vaults.find(({ item }) => rawText(item, 'name')?.toLowerCase() === wanted.toLowerCase())
  if (vault === undefined) return [problem('vault', `there is no vault '${wanted}' in the file`)]
  const key = rawText(encryption, 'key')
  const keys = rawList(vault.item, 'keys').map(one => rawText(one, 'name')?.toLowerCase())
  return [
    ...(key === undefined || keys.includes(key.toLowerCase())
      ? []
      : [problem('key', `the vault '${wanted}' of the file has no key '${key}'`)]),
    // R13
    ...(hasIdentity(account)
      ? []
      : [
          problem(
            'vault',
            "a key of a vault needs the account's identity: give the account 'identity: { type: SystemAssigned }'",
          ),
        ]),
  ]
}

function contradictions(vault: Raw): Problem[] {
  const found: Problem[] = []
  const policies = vault.value['accessPolicies']
  if (vault.value['enableRbacAuthorization'] === true && Array.isArray(policies) && policies.length > 0)
    found.push({
      path: [...vault.at, 'accessPolicies'],
      message:
        'do not count in a vault with enableRbacAuthorization: take them out and use roleAssignments, or turn it off',
    })
  const firewall = rawField(vault, 'networkAcls')
  if (firewall === undefined || rawList(vault, 'keys').length === 0 || rawText(firewall, 'defaultAction') !== 'Deny')
    return found
  const rules = rawList(firewall, 'ipRules').map(rule => ({ value: rawText(rule, 'value') ?? '' }))
  if (!isListedAddress(rules, '127.0.0.1'))
    found.push({
      path: [...firewall.at, 'defaultAction'],
      message:
        "keeps the administrator from making the vault's keys: add '127.0.0.1' to ipRules (and '::1' for other programs of this machine)",
    })
  return found
}
