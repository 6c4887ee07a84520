import type { JobEvent } from '../api/openai.ts'

const [WIDTH, HEIGHT, LEFT, BOTTOM, TOP] = [720, 240, 56, 28, 16]

interface Point {
  readonly step: number
  readonly loss: number
}

/** Training and validation loss by step, as an image that a screen reader sums up. */
export function LossCurve({ events }: { events: readonly JobEvent[] }) {
  const points = (name: string): Point[] =>
    events
      .flatMap(({ data }) => {
        const [step, loss] = [data?.['step'], data?.[name]]
        return step === undefined || loss === undefined ? [] : [{ step, loss }]
      })
      .toSorted((a, b) => a.step - b.step)
  const [train, valid] = [points('train_loss'), points('valid_loss')]
  const [first, last] = [train.at(0), train.at(-1)]
  if (first === undefined || last === undefined)
    return <p className="muted">The loss appears here once training has begun.</p>
  const steps = Math.max(
    events.find(({ data }) => data?.['total_steps'] !== undefined)?.data?.['total_steps'] ?? 1,
    last.step,
    2,
  )
  const most = Math.max(...[...train, ...valid].map(({ loss }) => loss), 0.1) * 1.05
  const x = (step: number): number => LEFT + ((step - 1) / (steps - 1)) * (WIDTH - LEFT - 12)
  const y = (loss: number): number => TOP + (1 - loss / most) * (HEIGHT - TOP - BOTTOM)
  const path = (line: readonly Point[]): string =>
    line
      .map(({ step, loss }, index) => `${index === 0 ? 'M' : 'L'}${x(step).toFixed(1)} ${y(loss).toFixed(1)}`)
      .join('')
  return (
    <figure style={{ margin: 0 }}>
      <svg
        className="chart"
        viewBox={`0 0 ${WIDTH} ${HEIGHT}`}
        role="img"
        aria-label={`Training loss fell from ${first.loss.toFixed(2)} to ${last.loss.toFixed(2)} in ${last.step} of ${steps} steps`}
      >
        <line className="axis" x1={LEFT} x2={WIDTH - 12} y1={y(0)} y2={y(0)} />
        <line className="axis" x1={LEFT} x2={LEFT} y1={TOP} y2={y(0)} />
        {[0, 0.5, 1].map(share => (
          <text key={share} x={LEFT - 6} y={y((most / 1.05) * share) + 4} textAnchor="end">
            {((most / 1.05) * share).toFixed(2)}
          </text>
        ))}
        <text x={LEFT} y={HEIGHT - 8}>
          step 1
        </text>
        <text x={WIDTH - 12} y={HEIGHT - 8} textAnchor="end">
          {steps}
        </text>
        <path className="train" d={path(train)} />
        {valid.length > 0 && <path className="valid" d={path(valid)} />}
      </svg>
      <figcaption className="small muted">
        Training loss {first.loss.toFixed(2)} → {last.loss.toFixed(2)}
        {valid.length > 0 && `, validation loss (dashed) ${valid.at(-1)?.loss.toFixed(2)}`}
      </figcaption>
    </figure>
  )
}
