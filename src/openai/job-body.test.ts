import assert from 'node:assert/strict'
import { test } from 'node:test'
import { jobBody } from './job-body.ts'

const read = (method: unknown) => jobBody.safeParse({ model: 'm', training_file: 'f', method })

test('a setting that the method does not know is refused, since the client would believe that it works', () => {
  assert.equal(read({ type: 'supervised', supervised: { hyperparameters: { n_epochs: 2 } } }).success, true)
  assert.equal(read({ type: 'supervised', supervised: { hyper_parameters: { n_epochs: 2 } } }).success, false)
  assert.equal(read({ type: 'supervised', supervised: { hyperparameters: { beta: 0.1 } } }).success, false)
  assert.equal(read({ type: 'dpo', dpo: { hyper_parameters: {} } }).success, false)
})

test('settings beside the hyperparameters of dpo are those of Azure`s example', () => {
  const { data } = read({ type: 'dpo', dpo: { beta: 0.2, l2_multiplier: -1, hyperparameters: { n_epochs: -1 } } })
  assert.deepEqual([data?.hyperparameters.beta, data?.hyperparameters.l2Multiplier], [0.2, 'auto'])
  assert.equal(data?.hyperparameters.nEpochs, 'auto')
})
