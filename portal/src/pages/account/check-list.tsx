import type { Account } from '../../api/arm.ts'
import { checksOf } from '../../api/requirements.ts'
import type { Choice } from './key-choice.tsx'

/** The article's requirements, live, before anything is saved. */
export function CheckList({ account, choice }: { account: Account; choice: Choice }) {
  const checks = checksOf(account, choice.vault, choice.bundle.data)
  return (
    <ul className="checks" aria-label="Requirements">
      {checks.map(({ id, text, holds }) => {
        const willMend = id === 'R11' && holds === false
        const word =
          holds === true
            ? 'met'
            : holds === undefined
              ? 'not known yet'
              : willMend
                ? 'granted when you save'
                : 'not met'
        return (
          <li key={text}>
            <span className={holds === true ? 'good' : holds === undefined || willMend ? 'warn' : 'bad'} aria-hidden>
              {holds === true ? '✓' : holds === undefined ? '?' : willMend ? '+' : '✗'}
            </span>
            <span className="muted small">{id}</span>
            <span>
              {text} <span className="muted small">({word})</span>
            </span>
          </li>
        )
      })}
    </ul>
  )
}
