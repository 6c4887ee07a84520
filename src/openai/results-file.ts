import type { TrainingMetrics } from '../engines/engine.ts'

const COLUMNS =
  'step,train_loss,train_mean_token_accuracy,valid_loss,validation_mean_token_accuracy,full_valid_loss,full_valid_mean_token_accuracy'

/** `results.csv` with Azure's columns. Validation always runs over the whole file, so both validation columns agree. */
export function resultsCsv(rows: readonly TrainingMetrics[]): Buffer {
  const number = (value: number | undefined): string => (value === undefined ? '' : String(value))
  const lines = rows.map(row => {
    const loss = number(row.validLoss)
    const accuracy = number(row.validMeanTokenAccuracy)
    return [row.step, row.trainLoss, row.trainMeanTokenAccuracy, loss, accuracy, loss, accuracy].join(',')
  })
  return Buffer.from(`${[COLUMNS, ...lines].join('\n')}\n`)
}
