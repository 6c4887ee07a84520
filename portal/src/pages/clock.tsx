import { Button, Field, Input } from '@fluentui/react-components'
import { useQuery } from '@tanstack/react-query'
import { useEffect, useState } from 'react'
import { config } from '../api/config.ts'
import { call } from '../api/http.ts'
import { useRefresh } from '../api/hooks.ts'
import { useAction } from '../parts/action.ts'
import { Facts, time } from '../parts/facts.tsx'
import { Failure, Loaded } from '../parts/states.tsx'

interface Clock {
  readonly time: string
  readonly systemTime: string
  readonly offsetSeconds: number
}

/** Time travel, where the cloud was started with --clock-control: retention, purges, rotations and tokens follow it. */
export function ClockPage() {
  const url = `${config().resourceManager}/ownkey/clock`
  const clock = useQuery({
    queryKey: ['clock'],
    queryFn: () => call<Clock>(url, { scope: 'management' }),
    refetchInterval: 5000,
  })
  const [days, setDays] = useState('91')
  const moving = useAction()
  const refresh = useRefresh()
  useEffect(() => {
    document.title = 'Clock - OwnKey'
  }, [])
  const move = (method: 'PUT' | 'DELETE', body?: object): Promise<boolean> =>
    moving.run(async () => {
      await call(url, { method, scope: 'management', body })
      await refresh()
    })
  const seconds = Math.round(Number(days) * 86_400)
  return (
    <main className="home" id="content" tabIndex={-1}>
      <h1>Clock of this cloud</h1>
      <p className="muted">
        Retention times, scheduled purges, rotations, expiry and tokens follow it, so that ninety days pass in a second.
        Tokens grow old too: after a long step the portal may ask to sign in again.
      </p>
      <Loaded query={clock} what="the clock">
        {now => (
          <Facts
            facts={{
              'It is': time(now.time),
              'The system says': time(now.systemTime),
              'It is ahead by': `${(now.offsetSeconds / 86_400).toFixed(now.offsetSeconds % 86_400 === 0 ? 0 : 2)} days`,
            }}
          />
        )}
      </Loaded>
      {moving.error !== undefined && <Failure error={moving.error} />}
      <div className="row">
        <Field label="Days">
          <Input type="number" min={1} value={days} onChange={(_, { value }) => setDays(value)} />
        </Field>
        <Button
          appearance="primary"
          disabled={moving.busy || !(seconds > 0)}
          onClick={() => void move('PUT', { advanceSeconds: seconds })}
        >
          Advance
        </Button>
        <Button disabled={moving.busy} onClick={() => void move('DELETE')}>
          Reset
        </Button>
      </div>
    </main>
  )
}
