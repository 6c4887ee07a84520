import { Select } from '@fluentui/react-components'
import { Fragment, useEffect, type ReactNode } from 'react'
import { Link, useLocation } from 'wouter'

export interface MenuEntry {
  readonly page: string
  readonly label: string
  /** Begins a new group of the menu. */
  readonly heading?: string
}

/** A resource with its side menu, laid out as people know it from Azure. */
export function Blade(props: {
  readonly name: string
  readonly kind: string
  readonly base: string
  readonly page: string
  readonly menu: readonly MenuEntry[]
  readonly children: ReactNode
}) {
  const { name, kind, base, page, menu, children } = props
  const [, navigate] = useLocation()
  const current = menu.find(entry => entry.page === page)
  useEffect(() => {
    document.title = `${name} · ${current?.label ?? ''} - OwnKey`
  }, [name, current])
  const hrefOf = (entry: MenuEntry): string => (entry.page === '' ? base : `${base}/${entry.page}`)
  return (
    <>
      <nav className="crumbs" aria-label="Breadcrumb">
        <Link href="/">Home</Link> › <Link href={base}>{name}</Link>
      </nav>
      <div className="title">
        <div>
          <h1>
            {name} | {current?.label ?? 'Not found'}
          </h1>
          <div className="kind">{kind}</div>
        </div>
      </div>
      <div className="menu-picker">
        <Select
          aria-label="Page of this resource"
          value={page}
          onChange={(_, { value }) => navigate(value === '' ? base : `${base}/${value}`)}
        >
          {menu.map(entry => (
            <option key={entry.page} value={entry.page}>
              {entry.label}
            </option>
          ))}
        </Select>
      </div>
      <div className="blade">
        <nav className="menu" aria-label="Resource menu">
          {menu.map(entry => (
            <Fragment key={entry.page}>
              {entry.heading !== undefined && <h2>{entry.heading}</h2>}
              <Link href={hrefOf(entry)} aria-current={entry.page === page ? 'page' : undefined}>
                {entry.label}
              </Link>
            </Fragment>
          ))}
        </nav>
        <main className="page" id="content" tabIndex={-1}>
          {children}
        </main>
      </div>
    </>
  )
}
