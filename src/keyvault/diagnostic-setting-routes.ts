import { AzureError, Conflict, NotFound } from '../http/errors.ts'
import type { Route } from '../http/route.ts'
import { allRecords } from '../store/every-record.ts'
import { put, remove, type Stored } from '../store/records.ts'
import type { Outcome } from './audited.ts'
import {
  checkedSetting,
  checkSettingName,
  diagnosticSettings,
  MAX_SETTINGS,
  settingBody,
  settingId,
  wantsAuditEvents,
  type DiagnosticSetting,
  type SettingBody,
} from './diagnostic-setting.ts'
import { findVault } from './find-vault.ts'
import { managementRoute, type ManagementContext } from './management-route.ts'
import type { KeyVaultServices } from './services.ts'
import { vaultResourceId, type Vault } from './vault-record.ts'
import { VAULT_PATH } from './vault-routes.ts'

const API_VERSIONS = ['2016-09-01', '2017-05-01-preview', '2021-05-01-preview']
const PATH = `${VAULT_PATH}/providers/microsoft.insights/diagnosticsettings`
const ACTIONS = 'Microsoft.Insights/diagnosticSettings'

/** Microsoft.Insights/diagnosticSettings on vaults: where their audit records go besides the audit log. */
export function diagnosticSettingRoutes(services: KeyVaultServices): Route[] {
  const operation = (method: Route['method'], path: string, verb: 'read' | 'write' | 'delete') =>
    ({
      method,
      path,
      apiVersions: API_VERSIONS,
      action: `${ACTIONS}/${verb}`,
      operationName: `${ACTIONS}/${verb}`,
    }) as const
  const one = `${PATH}/:setting`
  return [
    managementRoute(services, {
      ...operation('PUT', one, 'write'),
      maxBody: 64 * 1024,
      body: settingBody,
      run: putSetting,
    }),
    managementRoute<undefined>(services, { ...operation('GET', one, 'read'), run: getSetting }),
    managementRoute<undefined>(services, { ...operation('DELETE', one, 'delete'), run: deleteSetting }),
    managementRoute<undefined>(services, { ...operation('GET', PATH, 'read'), run: listSettings }),
    managementRoute<undefined>(services, {
      ...operation('GET', `${PATH}categories`, 'read'),
      run: async context => {
        const { value: vault } = await findVault(context)
        const id = `${vaultResourceId(vault)}/providers/microsoft.insights/diagnosticSettingsCategories/AuditEvent`
        const properties = { categoryType: 'Logs', categoryGroups: ['audit', 'allLogs'] }
        return { body: { value: [{ id, name: 'AuditEvent', type: `${ACTIONS}Categories`, properties }] } }
      },
    }),
  ]
}

async function putSetting(context: ManagementContext, body: SettingBody): Promise<Outcome> {
  const { services, call } = context
  const { value: vault } = await findVault(context)
  const name = checkSettingName(call.params['setting'] ?? '')
  const wanted = checkedSetting(body)
  const all = await settingsOf(services, vault)
  const before = all.find(({ id }) => id === settingId(vault, name))
  checkOthers(
    all.flatMap(({ id, value }) => (id === before?.id ? [] : [value])),
    wanted,
  )
  const same = before?.value.storageAccountId === wanted.storageAccountId && wantsAuditEvents(before.value)
  const [newest] = same ? [] : await services.auditLog.list({ limit: 1, reverse: true })
  const setting: DiagnosticSetting = {
    ...wanted,
    name: before?.value.name ?? name,
    vaultId: vault.id,
    vaultName: vault.name,
    resourceId: vaultResourceId(vault).toUpperCase(),
    after: same ? before.value.after : (newest?.sequence ?? 0),
  }
  return {
    status: 200,
    body: shown(vault, setting),
    changes: [put(diagnosticSettings, settingId(vault, name), setting, before?.version ?? 0)],
    id: vaultResourceId(vault),
    properties: { diagnosticSetting: setting.name, storageAccountId: setting.storageAccountId },
  }
}

function checkOthers(others: readonly DiagnosticSetting[], wanted: Pick<DiagnosticSetting, 'storageAccountId'>): void {
  if (others.length >= MAX_SETTINGS) {
    throw new AzureError(
      'BadRequest',
      400,
      `A resource takes at most ${MAX_SETTINGS} diagnostic settings. Delete one first.`,
    )
  }
  const target = wanted.storageAccountId.toLowerCase()
  const taken = others.find(({ storageAccountId }) => storageAccountId.toLowerCase() === target)
  if (taken === undefined) return
  throw new Conflict(
    'Conflict',
    `Data sink '${wanted.storageAccountId}' is already used in diagnostic setting '${taken.name}'. Data sinks can't be reused in different settings for the same resource.`,
  )
}

async function getSetting(context: ManagementContext): Promise<Outcome> {
  const { value: vault } = await findVault(context)
  const name = context.call.params['setting'] ?? ''
  const found = await context.services.records.get(diagnosticSettings, settingId(vault, checkSettingName(name)))
  if (found !== undefined) return { body: shown(vault, found.value) }
  throw new NotFound('ResourceNotFound', `There is no diagnostic setting '${name.slice(0, 64)}' on this vault.`)
}

async function deleteSetting(context: ManagementContext): Promise<Outcome> {
  const { value: vault } = await findVault(context)
  const name = checkSettingName(context.call.params['setting'] ?? '')
  const found = await context.services.records.get(diagnosticSettings, settingId(vault, name))
  if (found === undefined) return { status: 204 }
  return {
    status: 200,
    body: {},
    changes: [remove(diagnosticSettings, found.id, found.version)],
    properties: { diagnosticSetting: found.value.name },
  }
}

async function listSettings(context: ManagementContext): Promise<Outcome> {
  const { value: vault } = await findVault(context)
  const all = await settingsOf(context.services, vault)
  return { body: { value: all.map(({ value }) => shown(vault, value)) } }
}

function settingsOf(services: KeyVaultServices, vault: Vault): Promise<Stored<DiagnosticSetting>[]> {
  return allRecords(services.records, diagnosticSettings, { prefix: `${vault.id}/` })
}

function shown(vault: Vault, { name, storageAccountId, logs }: DiagnosticSetting): object {
  return {
    id: `${vaultResourceId(vault)}/providers/microsoft.insights/diagnosticSettings/${name}`,
    type: ACTIONS,
    name,
    location: null,
    kind: null,
    tags: null,
    identity: null,
    properties: {
      storageAccountId,
      serviceBusRuleId: null,
      workspaceId: null,
      eventHubAuthorizationRuleId: null,
      eventHubName: null,
      logAnalyticsDestinationType: null,
      metrics: [],
      logs: logs.map(log => ({
        category: null,
        categoryGroup: null,
        ...log,
        retentionPolicy: { enabled: false, days: 0 },
      })),
    },
  }
}
