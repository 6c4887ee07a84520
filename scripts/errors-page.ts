import { AADSTS } from '../src/entra/aadsts.ts'
import * as codes from '../src/http/error-codes.ts'
import type { Said } from './said-codes.ts'

type List = Readonly<Record<string, string>>

export interface Plane {
  readonly title: string
  readonly about: string
  readonly list: List
  /** How the paths of the files begin that answer with these codes. */
  readonly from: readonly string[]
}

const IDENTITIES = [
  'src/entra/administrator.ts',
  'src/entra/identities.ts',
  'src/entra/identity-secret.ts',
  'src/entra/open-entra.ts',
  'src/entra/signing-keys.ts',
]
const DIRECTORY = ['src/entra/users.ts', 'src/entra/redirect-uris.ts', 'src/entra/tokens.ts']

export const PLANES: readonly Plane[] = [
  {
    title: 'Every host',
    about: 'Of the listener and the disk, for any request.',
    list: codes.EVERY_HOST,
    from: ['src/http/', 'src/store/', 'src/folder/', 'src/openai/'],
  },
  {
    title: 'Sign-in',
    about:
      'The login host, and instance metadata: `error`, and in `error_description` one of the [AADSTS numbers](#aadsts-numbers). A code of another plane is `invalid_request` here. *Redirect*: in the query, fragment or form with which the browser comes back to the client.',
    list: codes.SIGN_IN,
    from: ['src/entra/', 'src/http/'],
  },
  {
    title: 'Microsoft Graph',
    about: 'Below `/v1.0` of the login host: `error.code`.',
    list: codes.GRAPH,
    from: ['src/entra/graph/', 'src/http/', ...DIRECTORY],
  },
  {
    title: 'Resource Manager',
    about:
      'Subscriptions, groups, roles, tags, tokens: `error.code`, as with the two providers and the own routes below.',
    list: codes.RESOURCE_MANAGER,
    from: [
      'src/arm/',
      'src/http/',
      'src/store/',
      'src/encryption/',
      'src/keyvault/',
      'src/accounts/',
      'src/entra/tokens.ts',
      'src/entra/authenticate.ts',
    ],
  },
  {
    title: 'Microsoft.KeyVault in Resource Manager',
    about: 'Vaults, their policies and diagnostic settings.',
    list: codes.VAULT_PROVIDER,
    from: ['src/keyvault/'],
  },
  {
    title: 'Microsoft.CognitiveServices in Resource Manager',
    about: 'Accounts, their encryption, their deployments.',
    list: codes.ACCOUNT_PROVIDER,
    from: ['src/accounts/', 'src/encryption/'],
  },
  {
    title: 'What is encrypted',
    about: "Of an account's data and its keys: in Resource Manager and in the data plane.",
    list: codes.ENCRYPTION,
    from: ['src/encryption/'],
  },
  {
    title: 'Key Vault',
    about: "A vault's own host.",
    list: codes.KEY_VAULT,
    from: ['src/keyvault/', 'src/http/'],
  },
  {
    title: 'OpenAI',
    about: "An account's own host: `error.code`, with `error.type` and `error.param`.",
    list: codes.OPENAI,
    from: ['src/openai/', 'src/accounts/', 'src/http/'],
  },
  {
    title: 'Routes that Azure does not have',
    about: "Backup, verification, audit log, clock, tenants, identities' secrets, the portal's files.",
    list: codes.OWN_ROUTES,
    from: ['src/arm/tenant-routes.ts', 'src/audit/', 'src/clock/', 'src/folder/', 'src/portal/', ...IDENTITIES],
  },
]

/** Codes below or beside an error's own, which have no status. */
export const BESIDE: readonly Omit<Plane, 'from'>[] = [
  {
    title: "Why a customer-managed key can't be used",
    about: 'The inner code of `CustomerManagedKeyUnavailable`. Below it is the error of the vault, with any code.',
    list: codes.KEY_UNAVAILABLE,
  },
  {
    title: 'Other inner codes',
    about:
      'Each with the code above it. `Forbidden` of a vault has `KeyDisabled`, `KeyExpired` and `KeyOperationForbidden` below it too.',
    list: codes.INNER,
  },
  {
    title: 'Requirements that are not met',
    about:
      'Details of `CustomerManagedKeyRequirementsNotMet`, behind the [requirement](requirements.md): `R08.PurgeProtectionOff`. [Causes](#why-a-customer-managed-key-cant-be-used) come there too: `R11.TokenRefused`.',
    list: codes.REQUIREMENT,
  },
  {
    title: 'Findings in a training file',
    about: 'Details of `jsonlValidationFailed`; `target` is the line.',
    list: codes.TRAINING_FILE,
  },
]

export function isOf(plane: Plane, { path, code }: Pick<Said, 'path' | 'code'>): boolean {
  return Object.hasOwn(plane.list, code) && plane.from.some(begin => path.startsWith(begin))
}

/** The statuses of a code on this plane, and how else it comes. */
export function statusesOf(plane: Plane, code: string, said: readonly Said[]): string[] {
  const own = said.filter(one => one.code === code && isOf(plane, one)).map(({ status }) => String(status))
  return [...new Set(own)].toSorted()
}

/** docs/errors.md */
export function errorsPage(said: readonly Said[]): string {
  const planes = PLANES.map(plane => ({
    ...plane,
    head: ['code', 'status', 'answered when'],
    rows: Object.entries(plane.list).map(([code, when]) => [
      `\`${code}\``,
      statusesOf(plane, code, said).join(', '),
      when,
    ]),
  }))
  const beside = BESIDE.map(({ list, ...one }) => ({ ...one, head: ['code', 'when'], rows: plainRows(list) }))
  const numbers = {
    title: 'AADSTS numbers',
    about: 'At the beginning of `error_description`, and in `error_codes`.',
    head: ['number', 'when'],
    rows: plainRows(AADSTS),
  }
  const [everyHost, signIn, ...others] = planes
  const tables = [everyHost, signIn, numbers, ...others, ...beside].filter(table => table !== undefined)
  return [INTRODUCTION, ...tables.map(section)].join('\n')
}

const INTRODUCTION = `# Error codes

Every code that this service answers with, by plane. The lists are [src/http/error-codes.ts](../src/http/error-codes.ts) and
[src/entra/aadsts.ts](../src/entra/aadsts.ts): a code that is not in them does not compile. Written by \`npm run docs\`; the statuses come from the source.

Programs should use the code, never the message: messages say what to do, and may change. \`x-ms-error-code\` repeats the code on every host but those of sign-in
and those of accounts. A resource's operation that runs on after 202 ends with the same codes, in \`error\` of its status.
`

function plainRows(list: List): string[][] {
  return Object.entries(list).map(([code, when]) => [`\`${code}\``, when])
}

interface Table {
  readonly title: string
  readonly about: string
  readonly head: readonly string[]
  readonly rows: readonly (readonly string[])[]
}

function section({ title, about, head, rows }: Table): string {
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`
  return [`## ${title}`, about, '', line(head), `|${'---|'.repeat(head.length)}`, ...rows.map(line), ''].join('\n')
}
