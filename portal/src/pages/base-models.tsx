import { useQuery } from '@tanstack/react-query'
import { useEffect } from 'react'
import { Link } from 'wouter'
import { config } from '../api/config.ts'
import { call } from '../api/http.ts'
import { bytes, Copyable } from '../parts/facts.tsx'
import { Rows } from '../parts/rows.tsx'
import { Loaded } from '../parts/states.tsx'

interface BaseModel {
  readonly name: string
  readonly aliases: readonly string[]
  readonly description: string
  readonly licence: string
  readonly parameters: number
  readonly contextLength: number
  readonly bytes: number
  readonly sha256: string
  readonly fineTune: boolean
  readonly untrainable?: string
  readonly state: 'in order' | 'changed' | 'missing'
}

const ADD = './ownkey models add FILE.gguf --data-dir FOLDER --alias gpt-4o'

/** The models that this cloud fine-tunes and serves, and how its operator adds one. */
export function BaseModels() {
  const models = useQuery({
    queryKey: ['base-models'],
    queryFn: () =>
      call<{ value: BaseModel[] }>(`${config().resourceManager}/ownkey/base-models`, { scope: 'management' }),
  })
  useEffect(() => {
    document.title = 'Base models - OwnKey'
  }, [])
  return (
    <main className="home" id="content" tabIndex={-1}>
      <nav className="crumbs flat" aria-label="Breadcrumb">
        <Link href="/">Home</Link>
      </nav>
      <h1>Base models</h1>
      <Loaded query={models} what="the base models">
        {({ value }) => (
          <Rows
            label="Base models"
            rows={value}
            keyOf={({ name }) => name}
            empty="There is no base model."
            columns={[
              { name: 'Name', cell: one => <Names {...one} /> },
              { name: 'State', cell: ({ state }) => <State state={state} /> },
              { name: 'Model', cell: one => <What {...one} /> },
              { name: 'Fine-tuning', cell: one => (one.fineTune ? 'yes' : `no: ${one.untrainable ?? 'not here'}`) },
              { name: 'Licence', cell: ({ licence }) => licence },
              { name: 'File', cell: one => <File {...one} /> },
            ]}
          />
        )}
      </Loaded>
      <h2 className="section">Add one</h2>
      <p>
        A base is a file on the machine of this cloud, so its operator adds it there; FOLDER is the data folder. The
        next start has it.
      </p>
      <Copyable value={ADD} label="the command" />
    </main>
  )
}

function Names({ name, aliases }: BaseModel) {
  return (
    <div>
      <strong>{name}</strong>
      {aliases.length > 0 && <div className="muted">also as {aliases.join(', ')}</div>}
    </div>
  )
}

function What({ description, parameters, contextLength }: BaseModel) {
  return (
    <div>
      {parameters.toLocaleString()} parameters, {contextLength.toLocaleString()} tokens of context
      <div className="muted">{description}</div>
    </div>
  )
}

function State({ state }: Pick<BaseModel, 'state'>) {
  if (state === 'in order') return <span className="good">in order</span>
  const why = state === 'missing' ? 'its file is gone' : 'its file is another one'
  return (
    <span className="bad">
      {state}: {why}. Put it back.
    </span>
  )
}

function File({ bytes: size, sha256 }: BaseModel) {
  return (
    <div className="wraps anywhere">
      {bytes(size)}, SHA-256
      <br />
      <Copyable value={sha256} label="the SHA-256" />
    </div>
  )
}
