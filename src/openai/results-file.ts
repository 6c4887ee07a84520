import type { TrainingMetrics } from '../engines/engine.ts'
import { wireRewards } from './job-events.ts'

const COLUMNS =
  'step,train_loss,train_mean_token_accuracy,valid_loss,validation_mean_token_accuracy,full_valid_loss,full_valid_mean_token_accuracy'
const NOTHING = { preferred: 0, nonPreferred: 0, accuracy: 0 }
/** Behind Azure's columns. */
const OF_DPO = [...Object.keys(wireRewards('train', NOTHING)), ...Object.keys(wireRewards('valid', NOTHING))]

/** `results.csv` with Azure's columns, and rewards for dpo. Validation always runs over the whole file, so both validation columns agree. */
export function resultsCsv(rows: readonly TrainingMetrics[], method?: 'dpo'): Buffer {
  const number = (value: number | undefined): string => (value === undefined ? '' : String(value))
  const more = method === undefined ? [] : OF_DPO
  const lines = rows.map(row => {
    const loss = number(row.validLoss)
    const accuracy = number(row.validMeanTokenAccuracy)
    const rewards: Readonly<Record<string, number | undefined>> = {
      ...wireRewards('train', row.trainRewards),
      ...wireRewards('valid', row.validRewards),
    }
    const azure = [row.step, row.trainLoss, row.trainMeanTokenAccuracy, loss, accuracy, loss, accuracy]
    return [...azure, ...more.map(name => number(rewards[name]))].join(',')
  })
  return Buffer.from(`${[[COLUMNS, ...more].join(','), ...lines].join('\n')}\n`)
}
