import type { Account } from '../../api/arm.ts'
import { Link } from 'wouter'
import { useNow } from '../../api/hooks.ts'
import { checksOf } from '../../api/requirements.ts'
import { Failure } from '../../parts/states.tsx'
import type { Choice } from './key-choice.tsx'

/** The article's requirements, live, before anything is saved. */
export function CheckList({ account, choice }: { account: Account; choice: Choice }) {
  const { vault, bundle } = choice
  const checks = checksOf(account, vault, bundle.data, useNow())
  return (
    <>
      {bundle.error !== null && <Failure error={bundle.error} />}
      <ul className="checks" aria-label="Requirements">
        {checks.map(({ id, text, holds, page }) => {
          const willMend = id === 'R11' && holds === false
          const word =
            holds === true
              ? 'met'
              : holds === undefined
                ? bundle.isLoading
                  ? 'checking…'
                  : 'not known yet'
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
                {holds === false && page !== undefined && vault !== undefined && (
                  <>
                    {' '}
                    <Link className="link" href={`/resource${vault.id}${page && `/${page}`}`}>
                      Change it
                    </Link>
                  </>
                )}
              </span>
            </li>
          )
        })}
      </ul>
    </>
  )
}
