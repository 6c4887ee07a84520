import { Button, MessageBar, MessageBarBody, MessageBarTitle } from '@fluentui/react-components'
import { useQuery } from '@tanstack/react-query'
import type { Account } from '../../api/arm.ts'
import {
  downloadFile,
  openai,
  openaiList,
  type Checkpoint,
  type FineTuningJob,
  type JobEvent,
} from '../../api/openai.ts'
import { useAction } from '../../parts/action.ts'
import { Facts, time } from '../../parts/facts.tsx'
import { LossCurve } from '../../parts/loss-curve.tsx'
import { Rows } from '../../parts/rows.tsx'
import { Failure, Loaded } from '../../parts/states.tsx'
import { JobStatus } from './job-status.tsx'

/** The newest events, which are fetched each second while the job runs. */
const MAX_EVENTS = 2000

const METHODS: Readonly<Record<string, string>> = { supervised: 'Supervised', dpo: 'Preferences (DPO)' }

/** For example `n_epochs 3, batch_size 4`. */
function settingsOf({ method }: FineTuningJob): string {
  const { hyperparameters = {} } = method?.dpo ?? method?.supervised ?? {}
  return Object.entries(hyperparameters)
    .map(([name, value]) => `${name} ${value}`)
    .join(', ')
}

const isOver = (status: string): boolean => ['succeeded', 'failed', 'cancelled'].includes(status)

/** One job: its status, its loss while it runs, its events and checkpoints. */
export function JobDetails({
  account,
  job,
  onChange,
}: {
  account: Account
  job: FineTuningJob
  onChange: () => Promise<void>
}) {
  const acting = useAction()
  const refetchInterval = isOver(job.status) ? (false as const) : 1000
  const events = useQuery({
    queryKey: ['events', job.id, job.status],
    queryFn: () => openaiList<JobEvent>(account, `/fine_tuning/jobs/${job.id}/events?limit=100`, MAX_EVENTS),
    refetchInterval,
  })
  const checkpoints = useQuery({
    queryKey: ['checkpoints', job.id, job.status],
    queryFn: () => openaiList<Checkpoint>(account, `/fine_tuning/jobs/${job.id}/checkpoints`),
    refetchInterval,
  })
  const act = (name: 'cancel' | 'pause' | 'resume'): Promise<boolean> =>
    acting.run(async () => {
      await openai(account, `/fine_tuning/jobs/${job.id}/${name}`, { method: 'POST' })
      await onChange()
    })
  const [results] = job.result_files
  return (
    <section aria-label={`Job ${job.id}`}>
      <h2 className="section">{job.id}</h2>
      <div className="commands">
        <Button disabled={acting.busy || isOver(job.status)} onClick={() => void act('cancel')}>
          Cancel
        </Button>
        <Button
          disabled={acting.busy || !['running', 'pending'].includes(job.status)}
          onClick={() => void act('pause')}
        >
          Pause
        </Button>
        <Button disabled={acting.busy || job.status !== 'paused'} onClick={() => void act('resume')}>
          Resume
        </Button>
        {results !== undefined && (
          <Button
            disabled={acting.busy}
            onClick={() => void acting.run(() => downloadFile(account, results, 'results.csv'))}
          >
            Download results
          </Button>
        )}
      </div>
      {acting.error !== undefined && <Failure error={acting.error} />}
      {job.error?.message !== undefined && (
        <MessageBar intent={job.status === 'paused' ? 'warning' : 'error'} layout="multiline" className="spaced">
          <MessageBarBody>
            <MessageBarTitle>{job.error.code ?? job.status}</MessageBarTitle>
            {job.error.message}
          </MessageBarBody>
        </MessageBar>
      )}
      <Facts
        facts={{
          Status: <JobStatus status={job.status} />,
          'Trained from': <span className="mono wrap">{job.model}</span>,
          Method: METHODS[job.method?.type ?? ''] ?? job.method?.type,
          Hyperparameters: settingsOf(job),
          'Training file': <span className="mono">{job.training_file}</span>,
          'Validation file': job.validation_file ? <span className="mono">{job.validation_file}</span> : undefined,
          'Trained tokens': job.trained_tokens?.toLocaleString(),
          Finished: time(job.finished_at),
        }}
      />
      <Loaded query={events} what="events">
        {found => (
          <>
            <LossCurve events={found} />
            <h3 className="section">Events</h3>
            <Rows
              label="Events"
              rows={found.filter(({ type }) => type !== 'metrics').slice(0, 20)}
              keyOf={event => event.id}
              empty="No events yet."
              columns={[
                { name: 'Time', cell: event => <span className="nowrap">{time(event.created_at)}</span> },
                {
                  name: 'Level',
                  cell: event => <span className={event.level === 'error' ? 'bad' : undefined}>{event.level}</span>,
                },
                { name: 'Message', cell: event => event.message },
              ]}
            />
          </>
        )}
      </Loaded>
      <h3 className="section">Checkpoints</h3>
      <Loaded query={checkpoints} what="checkpoints">
        {found => (
          <Rows
            label="Checkpoints"
            rows={found}
            keyOf={checkpoint => checkpoint.id}
            empty="No checkpoints yet: one is kept at the end of an epoch."
            columns={[
              { name: 'Step', cell: checkpoint => checkpoint.step_number },
              { name: 'Training loss', cell: checkpoint => checkpoint.metrics['train_loss']?.toFixed(4) ?? '-' },
              { name: 'Validation loss', cell: checkpoint => checkpoint.metrics['valid_loss']?.toFixed(4) ?? '-' },
              {
                name: 'Model',
                cell: checkpoint => <span className="mono wrap">{checkpoint.fine_tuned_model_checkpoint}</span>,
              },
            ]}
          />
        )}
      </Loaded>
    </section>
  )
}
