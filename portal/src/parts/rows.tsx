import { Button } from '@fluentui/react-components'
import { useState, type ReactNode } from 'react'
import { Empty } from './states.tsx'

export interface Column<T> {
  readonly name: string
  readonly cell: (row: T) => ReactNode
  /** The last column of buttons has no name to read. */
  readonly isActions?: boolean
}

const PAGE = 100

/** A table, a hundred rows at a time; `empty` says what to do where there is nothing. */
export function Rows<T>({
  label,
  rows,
  columns,
  keyOf,
  empty,
}: {
  label: string
  rows: readonly T[]
  columns: readonly Column<T>[]
  keyOf: (row: T) => string
  empty: ReactNode
}) {
  const [shown, setShown] = useState(PAGE)
  if (rows.length === 0) return <Empty>{empty}</Empty>
  return (
    <>
      <div className="table-box" role="region" aria-label={label} tabIndex={0}>
        <table className="rows" aria-label={label}>
          <thead>
            <tr>
              {columns.map(({ name }) => (
                <th key={name} scope="col">
                  {name}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {rows.slice(0, shown).map(row => (
              <tr key={keyOf(row)}>
                {columns.map(({ name, cell, isActions }) => (
                  <td key={name} data-label={name} className={isActions === true ? 'actions' : undefined}>
                    {cell(row)}
                  </td>
                ))}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      {rows.length > shown && (
        <div className="more">
          <span className="muted">
            {shown} of {rows.length}
          </span>
          <Button size="small" onClick={() => setShown(shown + PAGE)}>
            Show more
          </Button>
        </div>
      )}
    </>
  )
}
