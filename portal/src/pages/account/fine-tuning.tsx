import { Button, Field, Input, Select } from '@fluentui/react-components'
import { useQuery } from '@tanstack/react-query'
import { useState } from 'react'
import { Link } from 'wouter'
import type { Account } from '../../api/arm.ts'
import { openai, openaiList, type FineTuningJob, type Model } from '../../api/openai.ts'
import { Confirm } from '../../parts/confirm.tsx'
import { time } from '../../parts/facts.tsx'
import { ModelOptions } from '../../parts/model-options.tsx'
import { Rows } from '../../parts/rows.tsx'
import { Empty, Loaded } from '../../parts/states.tsx'
import { useFiles } from './files.tsx'
import { JobDetails } from './job-details.tsx'
import { JobStatus } from './job-status.tsx'
import { UploadButton } from './upload-button.tsx'

/** @param jobId the job in the address; otherwise the newest */
export function FineTuning({ account, jobId }: { account: Account; jobId: string | undefined }) {
  const jobs = useQuery({
    queryKey: ['jobs', account.id],
    queryFn: () => openaiList<FineTuningJob>(account, '/fine_tuning/jobs?limit=100'),
    refetchInterval: 2000,
  })
  const [creating, setCreating] = useState(false)
  const shown = jobId === undefined ? jobs.data?.[0] : jobs.data?.find(({ id }) => id === jobId)
  return (
    <>
      <div className="commands">
        <Button appearance="primary" onClick={() => setCreating(true)}>
          Create a job
        </Button>
        <UploadButton account={account} />
        <Button appearance="subtle" onClick={() => void jobs.refetch()}>
          Refresh
        </Button>
      </div>
      <Loaded query={jobs} what="jobs">
        {found => (
          <Rows
            label="Fine-tuning jobs"
            rows={found}
            keyOf={job => job.id}
            empty="No jobs yet. Upload a training file under Files, then create one."
            columns={[
              {
                name: 'Job',
                cell: job => (
                  <Link
                    className="link mono"
                    href={`/resource${account.id}/fine-tuning/${job.id}`}
                    aria-current={job.id === shown?.id ? 'true' : undefined}
                  >
                    {job.id}
                  </Link>
                ),
              },
              { name: 'Status', cell: job => <JobStatus status={job.status} /> },
              { name: 'Created', cell: job => <span className="nowrap">{time(job.created_at)}</span> },
              {
                name: 'Model',
                cell: job =>
                  job.fine_tuned_model ? (
                    <span className="mono wrap">{job.fine_tuned_model}</span>
                  ) : (
                    <>from {job.model}</>
                  ),
              },
            ]}
          />
        )}
      </Loaded>
      {jobs.data !== undefined && jobId !== undefined && shown === undefined && (
        <Empty>There is no job {jobId} here.</Empty>
      )}
      {shown !== undefined && (
        <JobDetails key={shown.id} account={account} job={shown} onChange={async () => void (await jobs.refetch())} />
      )}
      {creating && (
        <CreateJob
          account={account}
          onDone={async () => void (await jobs.refetch())}
          onClose={() => setCreating(false)}
        />
      )}
    </>
  )
}

function CreateJob({
  account,
  onDone,
  onClose,
}: {
  account: Account
  onDone: () => Promise<void>
  onClose: () => void
}) {
  const files = useFiles(account)
  const models = useQuery({
    queryKey: ['models', account.id],
    queryFn: () => openaiList<Model>(account, '/models'),
  })
  const data = (files.data ?? []).filter(({ purpose }) => purpose === 'fine-tune')
  const bases = (models.data ?? []).filter(({ capabilities }) => capabilities?.fine_tune === true)
  const [form, setForm] = useState({
    model: '',
    method: 'supervised',
    training: '',
    validation: '',
    suffix: '',
    epochs: '',
  })
  const set =
    (name: keyof typeof form) =>
    (_: unknown, { value }: { value: string }) =>
      setForm({ ...form, [name]: value })
  const model = form.model === '' ? (bases[0]?.id ?? '') : form.model
  const training = form.training === '' ? (data[0]?.id ?? '') : form.training
  const create = async (): Promise<void> => {
    const body = {
      model,
      training_file: training,
      ...(form.validation === '' ? {} : { validation_file: form.validation }),
      ...(form.suffix === '' ? {} : { suffix: form.suffix }),
      method: {
        type: form.method,
        [form.method]: form.epochs === '' ? {} : { hyperparameters: { n_epochs: Number(form.epochs) } },
      },
    }
    await openai(account, '/fine_tuning/jobs', { method: 'POST', body })
    await onDone()
  }
  const options = data.map(file => (
    <option key={file.id} value={file.id}>
      {file.filename} ({file.id})
    </option>
  ))
  return (
    <Confirm
      title="Create a fine-tuning job"
      action="Create"
      disabled={model === '' || training === ''}
      onConfirm={create}
      onClose={onClose}
    >
      <Field
        label="Model"
        required
        hint={
          <>
            A base model, or a fine-tuned one to train further. What can't be fine-tuned, and why not:{' '}
            <Link className="link" href="/base-models">
              Base models
            </Link>
          </>
        }
      >
        <Select value={model} onChange={set('model')}>
          <ModelOptions models={bases} />
        </Select>
      </Field>
      <Field label="Method" required>
        <Select value={form.method} onChange={set('method')}>
          <option value="supervised">Supervised: conversations</option>
          <option value="dpo">DPO: pairs of a preferred and another output</option>
        </Select>
      </Field>
      <Field label="Training file" required hint={data.length === 0 ? 'Upload one under Files first.' : undefined}>
        <Select value={training} onChange={set('training')}>
          {options}
        </Select>
      </Field>
      <Field label="Validation file">
        <Select value={form.validation} onChange={set('validation')}>
          <option value="">None</option>
          {options}
        </Select>
      </Field>
      <Field label="Suffix of the model's name">
        <Input value={form.suffix} onChange={set('suffix')} />
      </Field>
      <Field label="Epochs" hint="Empty: chosen by the size of the file.">
        <Input type="number" min={1} value={form.epochs} onChange={set('epochs')} />
      </Field>
    </Confirm>
  )
}
