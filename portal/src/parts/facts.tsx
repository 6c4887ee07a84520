import { Button, Tooltip } from '@fluentui/react-components'
import { useState, type ReactNode } from 'react'

/** Names and values side by side; undefined values show a dash. */
export function Facts({ facts }: { facts: Readonly<Record<string, ReactNode>> }) {
  return (
    <dl className="facts">
      {Object.entries(facts).map(([name, value]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>{value ?? '-'}</dd>
        </div>
      ))}
    </dl>
  )
}

/** A value with a button that copies it. */
export function Copyable({ value, label, hidden = false }: { value: string; label: string; hidden?: boolean }) {
  const [said, setSaid] = useState('')
  const copy = async (): Promise<void> => {
    // The browser may forbid it.
    setSaid(
      await navigator.clipboard.writeText(value).then(
        () => 'Copied',
        () => 'Not copied',
      ),
    )
    setTimeout(() => setSaid(''), 1500)
  }
  return (
    <span className="copyable">
      <span className="mono">{hidden ? '•'.repeat(24) : value}</span>
      <Tooltip content={said || `Copy ${label}`} relationship="label">
        <Button size="small" appearance="subtle" onClick={() => void copy()}>
          {said || 'Copy'}
        </Button>
      </Tooltip>
    </span>
  )
}

export const bytes = (count: number): string => {
  if (count < 1024) return `${count} B`
  if (count < 1024 ** 2) return `${(count / 1024).toFixed(1)} KiB`
  return `${(count / 1024 ** 2).toFixed(1)} MiB`
}

/** Local date and time of seconds or milliseconds since 1970, or of an ISO date. */
export function time(value: number | string | null | undefined): string {
  if (value === null || value === undefined) return '-'
  const date = typeof value === 'number' ? new Date(value < 1e11 ? value * 1000 : value) : new Date(value)
  return date.toLocaleString(undefined, { dateStyle: 'medium', timeStyle: 'medium' })
}
