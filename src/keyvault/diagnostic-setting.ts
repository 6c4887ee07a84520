import { z } from 'zod'
import { parseResourceId } from '../arm/resource-id.ts'
import { collection } from '../store/records.ts'
import type { Vault } from './vault-record.ts'
import { badRequest } from './vault-rules.ts'

/** Where the audit records of one vault go, besides the audit log itself. */
export interface DiagnosticSetting {
  readonly name: string
  readonly vaultId: string
  readonly vaultName: string
  /** Upper case, as audit records spell it. */
  readonly resourceId: string
  /** As the client spelled it. Its last path segment names the folder. */
  readonly storageAccountId: string
  readonly logs: readonly LogSetting[]
  /** It covers records of the audit log after this one. */
  readonly after: number
}

export interface LogSetting {
  readonly category?: string
  readonly categoryGroup?: string
  readonly enabled: boolean
}

/** By `<vault's id>/<name in lower case>`. */
export const diagnosticSettings = collection<DiagnosticSetting>('keyvault.diagnostic-settings')

export const settingId = (vault: Vault, name: string): string => `${vault.id}/${name.toLowerCase()}`

/** Azure's limit for one resource. */
export const MAX_SETTINGS = 5

const CATEGORIES = ['AuditEvent', 'AzurePolicyEvaluationDetails']
const GROUPS = ['audit', 'allLogs']

const text = z.string().max(1024).nullish()
const retention = z.object({ enabled: z.boolean(), days: z.number().int().min(0).max(365) }).nullish()
const item = z.object({ enabled: z.boolean(), category: text, categoryGroup: text, retentionPolicy: retention })

export const settingBody = z.object({
  properties: z.object({
    storageAccountId: text,
    workspaceId: text,
    eventHubAuthorizationRuleId: text,
    eventHubName: text,
    serviceBusRuleId: text,
    marketplacePartnerId: text,
    logs: z.array(item).max(20).nullish(),
    metrics: z.array(item).max(20).nullish(),
  }),
})

export type SettingBody = z.infer<typeof settingBody>

const ELSEWHERE = ['workspaceId', 'eventHubAuthorizationRuleId', 'serviceBusRuleId', 'marketplacePartnerId'] as const

/** Reads a setting from a request. @throws 400 BadRequest for fields that would be accepted but have no effect */
export function checkedSetting({ properties }: SettingBody): Pick<DiagnosticSetting, 'storageAccountId' | 'logs'> {
  const elsewhere = ELSEWHERE.find(name => (properties[name] ?? '') !== '')
  if (elsewhere !== undefined) {
    throw badRequest(
      `'${elsewhere}' names a service that does not exist here. Use storageAccountId: the records then go to a folder of that name.`,
      `properties.${elsewhere}`,
    )
  }
  const metric = properties.metrics?.find(({ enabled }) => enabled)
  if (metric != null) throw badRequest('Key vaults have no metrics here: leave them disabled.', 'properties.metrics')
  const storageAccountId = properties.storageAccountId ?? ''
  if (storageAccountOf(storageAccountId) === undefined) {
    throw badRequest(
      "'storageAccountId' must be like /subscriptions/S/resourceGroups/G/providers/Microsoft.Storage/storageAccounts/NAME, the name with 3 to 24 lower-case letters and digits.",
      'properties.storageAccountId',
    )
  }
  return { storageAccountId, logs: (properties.logs ?? []).map(checkedLog) }
}

function checkedLog({ enabled, category, categoryGroup, retentionPolicy }: z.infer<typeof item>): LogSetting {
  if (retentionPolicy?.enabled) {
    throw badRequest(
      'Retention by diagnostic settings was retired by Azure and does nothing here: delete old files of the folder instead, and leave retentionPolicy disabled.',
      'properties.logs.retentionPolicy',
    )
  }
  const known = CATEGORIES.find(name => name.toLowerCase() === category?.toLowerCase())
  if (category != null && known !== undefined) return { category: known, enabled }
  const group = GROUPS.find(name => name.toLowerCase() === categoryGroup?.toLowerCase())
  if (categoryGroup != null && group !== undefined) return { categoryGroup: group, enabled }
  const given = category ?? categoryGroup ?? ''
  throw badRequest(
    `The category '${given.slice(0, 64)}' is not supported. Categories: ${CATEGORIES.join(', ')}; groups: ${GROUPS.join(', ')}.`,
    'properties.logs',
  )
}

export function wantsAuditEvents({ logs }: Pick<DiagnosticSetting, 'logs'>): boolean {
  return logs.some(
    ({ enabled, category, categoryGroup }) => enabled && (category === 'AuditEvent' || categoryGroup !== undefined),
  )
}

/** The name of the storage account, which is a folder's name too; undefined when it is not the id of a storage account. */
export function storageAccountOf(id: string): string | undefined {
  const parsed = parseResourceId(id)
  const isStorage = parsed?.type.toLowerCase() === 'microsoft.storage/storageaccounts'
  return isStorage && id.split('/').length === 9 && /^[a-z0-9]{3,24}$/.test(parsed.name) ? parsed.name : undefined
}

export function checkSettingName(name: string): string {
  if (/^[^<>*%&:\\?+/\p{Cc}]{1,260}$/u.test(name)) return name
  throw badRequest(
    'The name of a diagnostic setting has 1 to 260 characters, without < > * % & : \\ ? + / and control characters.',
    'name',
  )
}
