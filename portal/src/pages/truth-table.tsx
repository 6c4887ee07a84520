import { useQuery } from '@tanstack/react-query'
import { useEffect, type ReactNode } from 'react'
import { config } from '../api/config.ts'
import { call } from '../api/http.ts'
import { Rows } from '../parts/rows.tsx'
import { Loaded } from '../parts/states.tsx'

type Block =
  | { readonly type: 'heading'; readonly level: number; readonly text: string }
  | { readonly type: 'text'; readonly text: string }
  | { readonly type: 'table'; readonly columns: readonly string[]; readonly rows: readonly (readonly string[])[] }

/** The effect of each way of losing the key on each operation, as measured on this version. */
export function TruthTable() {
  const table = useQuery({
    queryKey: ['truth-table'],
    queryFn: () => call<{ blocks: Block[] }>(`${config().resourceManager}/ownkey/truth-table`, { scope: 'management' }),
    staleTime: Infinity,
  })
  useEffect(() => {
    document.title = 'Truth table - OwnKey'
  }, [])
  return (
    <main className="home truth" id="content" tabIndex={-1}>
      <Loaded query={table} what="the measured table">
        {({ blocks }) => blocks.map(block => <One key={JSON.stringify(block)} block={block} />)}
      </Loaded>
    </main>
  )
}

function One({ block }: { block: Block }) {
  if (block.type === 'text') return <p className="muted">{withCode(block.text)}</p>
  if (block.type === 'heading')
    return block.level === 1 ? <h1>{withCode(block.text)}</h1> : <h2 className="section">{withCode(block.text)}</h2>
  return (
    <Rows<readonly string[]>
      label={block.columns[0] ?? ''}
      rows={block.rows}
      keyOf={row => row.join('|')}
      empty="Nothing was measured."
      columns={block.columns.map((name, index) => ({ name, cell: row => <Cell text={row[index] ?? ''} /> }))}
    />
  )
}

function Cell({ text }: { text: string }) {
  const tone = text === 'allowed' ? 'good' : text === 'refused' ? 'bad' : undefined
  return <span className={tone}>{text === '' ? '-' : withCode(text)}</span>
}

/** Text between backticks is code. */
function withCode(text: string): ReactNode {
  // Parts of one text never change their order.
  // oxlint-disable-next-line react/no-array-index-key
  return text.split('`').map((part, index) => (index % 2 === 1 ? <code key={index}>{part}</code> : part))
}
