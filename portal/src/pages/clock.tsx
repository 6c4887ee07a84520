import { Button, Field, Input } from '@fluentui/react-components'
import { useQuery } from '@tanstack/react-query'
import { useState } from 'react'
import { config } from '../api/config.ts'
import { call } from '../api/http.ts'
import { Facts, time } from '../parts/facts.tsx'
import { Failure, Loaded } from '../parts/states.tsx'

interface Clock {
  readonly time: string
  readonly [name: string]: unknown
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
  const [error, setError] = useState<unknown>()
  const move = async (method: 'PUT' | 'DELETE', body?: object): Promise<void> => {
    setError(undefined)
    try {
      await call(url, { method, scope: 'management', body })
      await clock.refetch()
    } catch (failed) {
      setError(failed)
    }
  }
  return (
    <main className="home" id="content" tabIndex={-1}>
      <h1 className="section">Clock of this cloud</h1>
      <Loaded query={clock} what="the clock">
        {now => <Facts facts={{ 'It is': time(now.time), 'The system says': time(Date.now()) }} />}
      </Loaded>
      {error !== undefined && <Failure error={error} />}
      <div className="row">
        <Field label="Days">
          <Input type="number" min={1} value={days} onChange={(_, { value }) => setDays(value)} />
        </Field>
        <Button
          appearance="primary"
          onClick={() => void move('PUT', { advanceSeconds: Math.round(Number(days) * 86_400) })}
        >
          Advance
        </Button>
        <Button onClick={() => void move('DELETE')}>Reset</Button>
      </div>
    </main>
  )
}
