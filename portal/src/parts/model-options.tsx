import type { Model } from '../api/openai.ts'

/** The options of a choice among models: an account's own first, then bases, an alias with what it stands for. */
export function ModelOptions({ models }: { models: readonly Model[] }) {
  const own = models.filter(({ base_model: base }) => base === undefined)
  const bases = models.filter(({ base_model: base }) => base !== undefined)
  return (
    <>
      <Group label="Fine-tuned models" models={own.toReversed()} />
      <Group label="Base models" models={bases} />
    </>
  )
}

function Group({ label, models }: { label: string; models: readonly Model[] }) {
  if (models.length === 0) return null
  return (
    <optgroup label={label}>
      {models.map(({ id, base_model: base }) => (
        <option key={id} value={id}>
          {base === undefined || base === id ? id : `${id} (${base})`}
        </option>
      ))}
    </optgroup>
  )
}
