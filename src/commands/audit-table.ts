import { objectIdOf } from '../audit/audit-routes.ts'
import type { AuditRecord } from '../audit/read-audit.ts'

interface Column {
  readonly title: string
  readonly width: number
  /** Which part is cut when it is too long. */
  readonly cut?: 'end'
  readonly cell: (record: AuditRecord, names: Readonly<Record<string, string>>) => string
}

const RED = 31
const GREEN = 32
const DIM = 2
const BOLD = 1
const GAP = '  '

/** The audit log for people: one line for each record, one more for the reason of a refusal, and one for each new day. */
export class AuditTable {
  readonly #width: number
  readonly #colour: boolean
  readonly #columns: readonly Column[]
  #day = ''
  #begun = false

  constructor({ width, colour }: { readonly width: number; readonly colour: boolean }) {
    this.#width = Math.max(60, width)
    this.#colour = colour
    this.#columns = columnsFor(this.#width)
  }

  /** Lines with their ends, ready to be written; the headings come with the first ones. */
  lines(records: readonly AuditRecord[], names: Readonly<Record<string, string>>): string {
    const lines = this.#begun
      ? []
      : [
          this.#paint(
            BOLD,
            this.#row(column => column.title),
          ),
        ]
    this.#begun = true
    for (const record of records) {
      const day = record.entry.time.slice(0, 10)
      if (day !== this.#day) lines.push(this.#paint(DIM, `${day} ${'─'.repeat(this.#width - day.length - 1)}`))
      this.#day = day
      lines.push(this.#coloured(record, names), ...this.#reason(record))
    }
    return lines.map(line => `${line.trimEnd()}\n`).join('')
  }

  #row(cell: (column: Column) => string): string {
    return this.#columns.map(column => fit(cell(column), column.width)).join(GAP)
  }

  #coloured(record: AuditRecord, names: Readonly<Record<string, string>>): string {
    const colour = record.entry.resultType === 'Success' ? GREEN : RED
    return this.#columns
      .map(column => {
        const text = fit(column.cell(record, names), column.width, column.cut)
        return column.title === 'CODE' ? this.#paint(colour, text) : text
      })
      .join(GAP)
  }

  #reason({ entry }: AuditRecord): string[] {
    if (entry.resultType === 'Success' || !entry.resultDescription) return []
    const indent = ' '.repeat(8 + GAP.length)
    const { errorCode } = propertiesOf(entry)
    const code = typeof errorCode === 'string' ? `${errorCode}: ` : ''
    return [
      this.#paint(
        DIM,
        `${indent}${fit(code + plainReason(entry.resultDescription), this.#width - indent.length, 'end')}`,
      ),
    ]
  }

  #paint(code: number, text: string): string {
    return this.#colour ? `\u001b[${code}m${text}\u001b[0m` : text
  }
}

function columnsFor(width: number): Column[] {
  const wide = width >= 110
  const fixed: Column[] = [
    { title: 'TIME', width: 8, cell: ({ entry }) => entry.time.slice(11, 19) },
    { title: 'CODE', width: 4, cell: ({ entry }) => codeOf(entry) },
    { title: 'OPERATION', width: wide ? 26 : 20, cell: ({ entry }) => shortOperation(entry.operationName) },
    { title: 'WHO', width: wide ? 18 : 14, cut: 'end', cell: who },
    ...(wide
      ? [
          { title: 'FROM', width: 15, cell: ({ entry }: AuditRecord) => entry.callerIpAddress ?? '' },
          { title: 'TOOK', width: 7, cell: ({ entry }: AuditRecord) => `${entry.durationMs ?? 0} ms`.padStart(7) },
        ]
      : []),
  ]
  const used = fixed.reduce((sum, column) => sum + column.width + GAP.length, 0)
  return [...fixed, { title: 'WHAT', width: width - used, cell: ({ entry }) => what(entry) }]
}

function propertiesOf(entry: AuditRecord['entry']): Record<string, unknown> {
  return (entry.properties ?? {}) as Record<string, unknown>
}

function codeOf(entry: AuditRecord['entry']): string {
  const { httpStatusCode } = propertiesOf(entry)
  if (typeof httpStatusCode === 'number') return String(httpStatusCode)
  return entry.resultType === 'Success' ? 'ok' : 'no'
}

/** Shortens the reason: the line above names the refused caller. */
function plainReason(text: string): string {
  return text
    .replace(/^The user, group or application '[^']*' does not have/, 'no')
    .replace(/\s+/g, ' ')
    .trim()
}

function shortOperation(name: string): string {
  return name.replace(/^Microsoft\.CognitiveServices\/(accounts\/(?=.*\/))?/, '').replace(/^Microsoft\./, '')
}

/** The caller for people: a name where one is known. */
export function who({ entry }: Pick<AuditRecord, 'entry'>, names: Readonly<Record<string, string>>): string {
  const id = objectIdOf(entry)
  if (id !== undefined) return names[id] ?? id
  const { claim } = (entry.identity ?? {}) as { claim?: Record<string, unknown> }
  if (claim?.['authenticationType'] === 'ApiKey') return 'API key'
  const { clientId } = propertiesOf(entry)
  if (typeof clientId === 'string') return `client ${clientId}`
  return entry.callerIpAddress === 'service' ? 'OwnKey' : 'nobody'
}

/** The last names of the resource that was touched: vault, key and version, or account and what is in it. */
function what(entry: AuditRecord['entry']): string {
  const { id, resource } = propertiesOf(entry)
  if (typeof resource === 'string') return `for ${resource.replace(/^https:\/\//, '')}`
  const text = typeof id === 'string' && id !== '' ? id : (entry.resourceId ?? '')
  const key = /^https:\/\/([^./]+)(?:\.[^/]*)?\/(?:deleted)?keys\/(.*)$/i.exec(text)
  const named = key === null ? lastNames(text) : `${key[1]}/${key[2]?.replace(/\/([0-9a-f]{8})[0-9a-f]{24}$/i, '/$1…')}`
  const isAccount = /\/accounts\//i.test(text) && entry.resultType === 'Success' && entry.resultDescription
  return isAccount ? `${named} ${entry.resultDescription}` : named
}

function lastNames(id: string): string {
  const segments = id.split('/')
  const provider = segments.findLastIndex(segment => segment.toLowerCase() === 'providers')
  const names = provider < 0 ? segments.slice(-1) : segments.slice(provider + 3).filter((_, index) => index % 2 === 0)
  return names.join('/').toLowerCase()
}

/** Exactly this many columns: padded, or cut where the least is lost. */
function fit(text: string, width: number, cut: 'middle' | 'end' = 'middle'): string {
  // oxlint-disable-next-line no-control-regex -- names and messages hold text of clients, on which no terminal may act
  const plain = text.replace(/[\u0000-\u001f\u007f-\u009f\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu, '?')
  const characters = Array.from(new Intl.Segmenter().segment(plain), ({ segment }) => segment)
  if (characters.length <= width) return plain + ' '.repeat(width - characters.length)
  if (width < 12 || cut === 'end') return `${characters.slice(0, width - 1).join('')}…`
  const head = Math.ceil((width - 1) * 0.6)
  return `${characters.slice(0, head).join('')}…${characters.slice(characters.length - (width - 1 - head)).join('')}`
}
