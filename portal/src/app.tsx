import { FluentProvider, webDarkTheme, webLightTheme } from '@fluentui/react-components'
import { QueryClient, QueryClientProvider } from '@tanstack/react-query'
import { lazy, Suspense, useState, useSyncExternalStore } from 'react'
import { Link, Route, Switch, useLocation } from 'wouter'
import { ApiError } from './api/http.ts'
import { Loading } from './parts/states.tsx'
import { Home } from './pages/home.tsx'
import { ErrorBoundary } from './shell/error-boundary.tsx'
import { usePageChange } from './shell/page-change.ts'
import { TopBar } from './shell/top-bar.tsx'

const AccountBlade = lazy(async () => ({ default: (await import('./pages/account/account-blade.tsx')).AccountBlade }))
const VaultBlade = lazy(async () => ({ default: (await import('./pages/vault/vault-blade.tsx')).VaultBlade }))
const Deleted = lazy(async () => ({ default: (await import('./pages/deleted.tsx')).Deleted }))
const SubscriptionPage = lazy(async () => ({
  default: (await import('./pages/subscription.tsx')).SubscriptionPage,
}))
const TruthTable = lazy(async () => ({ default: (await import('./pages/truth-table.tsx')).TruthTable }))
const BaseModels = lazy(async () => ({ default: (await import('./pages/base-models.tsx')).BaseModels }))
const ClockPage = lazy(async () => ({ default: (await import('./pages/clock.tsx')).ClockPage }))

const isWorthRetrying = (count: number, error: Error): boolean =>
  count < 2 && !(error instanceof ApiError && error.status >= 400 && error.status < 500)

const queries = new QueryClient({
  defaultOptions: { queries: { retry: isWorthRetrying, staleTime: 2000, refetchOnWindowFocus: true } },
})

export type ThemeChoice = 'system' | 'light' | 'dark'

const darkQuery = matchMedia('(prefers-color-scheme: dark)')

export function App() {
  const [choice, setChoice] = useState<ThemeChoice>(
    () => (localStorage.getItem('ownkey-theme') as ThemeChoice | null) ?? 'system',
  )
  const systemIsDark = useSyncExternalStore(
    changed => {
      darkQuery.addEventListener('change', changed)
      return () => darkQuery.removeEventListener('change', changed)
    },
    () => darkQuery.matches,
  )
  const choose = (next: ThemeChoice): void => {
    localStorage.setItem('ownkey-theme', next)
    setChoice(next)
  }
  const [path] = useLocation()
  usePageChange(path)
  const isDark = choice === 'dark' || (choice === 'system' && systemIsDark)
  return (
    <QueryClientProvider client={queries}>
      <FluentProvider theme={isDark ? webDarkTheme : webLightTheme}>
        <div className="shell">
          <TopBar theme={choice} onTheme={choose} />
          <ErrorBoundary at={path}>
            <Suspense fallback={<Loading what="the page" />}>
              <Switch>
                <Route path="/" component={Home} />
                <Route path="/subscriptions/:subscription" component={SubscriptionPage} />
                <Route path="/deleted" component={Deleted} />
                <Route path="/truth-table" component={TruthTable} />
                <Route path="/base-models" component={BaseModels} />
                <Route path="/clock" component={ClockPage} />
                <Route path={ACCOUNT} component={AccountBlade} />
                <Route path={VAULT} component={VaultBlade} />
                <Route>
                  <NoSuchPage />
                </Route>
              </Switch>
            </Suspense>
          </ErrorBoundary>
        </div>
      </FluentProvider>
    </QueryClientProvider>
  )
}

function NoSuchPage() {
  return (
    <main className="home" id="content" tabIndex={-1}>
      <h1 className="section">There is no such page</h1>
      <p>
        The address may be mistyped, or of another version.{' '}
        <Link className="link" href="/">
          Go to Home
        </Link>
      </p>
    </main>
  )
}

const GROUP = '/resource/subscriptions/:subscription/resourceGroups/:group/providers'
const ACCOUNT = `${GROUP}/Microsoft.CognitiveServices/accounts/:name/:page?/:item?`
const VAULT = `${GROUP}/Microsoft.KeyVault/vaults/:name/:page?/:key?`
