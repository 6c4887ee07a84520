import assert from 'node:assert/strict'
import { test } from 'node:test'
import { loadGgml } from './ggml.ts'
import { freshAdapter, type Adapter } from './lora.ts'
import { ModelPasses } from './model-passes.ts'
import { inMemory } from './placed-weights.ts'
import { PreferenceObjective, resolvePreference, sequencesOf, type EncodedPair } from './preference.ts'
import { TINY_LLAMA, tinyTensors } from './tiny-llama.test-support.ts'
import { uniform, type EncodedExample } from './training-batches.ts'

const SHAPE = { ...TINY_LLAMA, layers: 1, hidden: 48 }

/** Of different lengths, so that a step has several passes. */
function example(seed: number, prompt: number, answer: number): EncodedExample {
  const random = uniform(seed)
  const ids = Array.from({ length: prompt + answer }, () => Math.floor(random() * SHAPE.vocabulary))
  return { ids, tokens: ids.length, rows: Array.from({ length: answer }, (_, at) => prompt + at - 1) }
}

const pair = (seed: number, answer: number, other: number): EncodedPair => {
  const [preferred, nonPreferred] = [example(seed, 5, answer), example(seed + 100, 5, other)]
  return { preferred, nonPreferred, tokens: preferred.tokens + nonPreferred.tokens }
}
const TRAIN = [pair(1, 4, 6), pair(2, 3, 40), pair(3, 9, 2)]
const VALID = [pair(4, 4, 4), pair(5, 2, 7)]

const ggml = loadGgml(1)
const base = tinyTensors(SHAPE).map(inMemory)
const options = { shape: SHAPE, base, memory: 2 ** 40, most: { examples: sequencesOf(TRAIN), batchSize: 6 } }

function opened(beta: number, reference: Float64Array = new Float64Array(0), adapter = freshAdapter(base, 3)) {
  const passes = new ModelPasses(ggml, { ...options, adapter })
  const objective = new PreferenceObjective(passes, { train: TRAIN, valid: VALID }, { beta, reference })
  // A step at rate 0 only uploads the values.
  const moveTo = (): void => passes.update(1, 0, 0)
  return { passes, objective, adapter, moveTo }
}

function disturb({ parameters }: Adapter, seed: number): void {
  const random = uniform(seed)
  for (const { data } of parameters) for (const at of data.keys()) data[at] = (data[at] ?? 0) + 0.4 * (random() - 0.5)
}

const logProbability = async (passes: ModelPasses, one: EncodedExample): Promise<number> =>
  (await passes.score([one]))[0]?.logProbability ?? Number.NaN

/** The paper's loss as it stands there, pair by pair. */
async function lossOf(passes: ModelPasses, pairs: readonly EncodedPair[], reference: readonly number[], beta: number) {
  let sum = 0
  for (const [at, { preferred, nonPreferred }] of pairs.entries()) {
    const won = (await logProbability(passes, preferred)) - (reference[2 * at] ?? Number.NaN)
    const lost = (await logProbability(passes, nonPreferred)) - (reference[2 * at + 1] ?? Number.NaN)
    sum += -Math.log(1 / (1 + Math.exp(-(beta * won - beta * lost))))
  }
  return sum / pairs.length
}

test("the loss is the paper's, and its gradient agrees with finite differences", async () => {
  const beta = 0.7
  const { passes, objective, adapter, moveTo } = opened(beta)
  await objective.begin()
  const reference = [...objective.reference]
  assert.equal(reference.length, 2 * (TRAIN.length + VALID.length))
  disturb(adapter, 8)
  moveTo()
  const loss = () => lossOf(passes, TRAIN, reference, beta)
  passes.clearGradients()
  const { trainLoss, trainRewards } = await objective.learn([0, 1, 2])
  assert.ok(Math.abs(trainLoss - (await loss())) < 1e-6, `${trainLoss} against ${await loss()}`)
  assert.ok(Math.abs(trainLoss - Math.log(2)) > 0.05, 'the model has moved')
  assert.ok(trainRewards !== undefined && [0, 1 / 3, 2 / 3, 1].includes(trainRewards.accuracy))
  const gradients = adapter.parameters.map(({ gradient }) => Float32Array.from(gradient))
  const random = uniform(9)
  for (const [index, { name, data }] of adapter.parameters.entries()) {
    const direction = data.map(() => random() - 0.5)
    const size = 0.02 / Math.sqrt(direction.reduce((sum, value) => sum + value * value, 0))
    const slope = direction.reduce((sum, value, at) => sum + value * (gradients[index]?.[at] ?? 0), 0)
    const before = Float32Array.from(data)
    const moved = async (by: number): Promise<number> => {
      data.set(before.map((value, at) => value + by * (direction[at] ?? 0)))
      moveTo()
      return loss()
    }
    const measured = ((await moved(size)) - (await moved(-size))) / (2 * size)
    await moved(0)
    const scale = Math.max(Math.abs(slope), Math.abs(measured), 0.01)
    assert.ok(Math.abs(slope - measured) / scale < 0.02, `${name}: ${slope} against ${measured}`)
  }
})

test('the reference is the model at the start: the bare base, or the adapter that training goes on from', async () => {
  const bare = opened(0.1)
  await bare.objective.begin()
  const { trainLoss, trainRewards } = await bare.objective.learn([0, 1, 2])
  assert.ok(Math.abs(trainLoss - Math.log(2)) < 1e-6)
  assert.ok(Math.abs((trainRewards?.preferred ?? 1) + (trainRewards?.nonPreferred ?? 1)) < 1e-6)
  const without = new ModelPasses(ggml, { ...options, adapter: { parameters: [], rank: 1, alpha: 1 } })
  for (const [at, { preferred }] of TRAIN.entries())
    assert.ok(Math.abs((await logProbability(without, preferred)) - (bare.objective.reference[2 * at] ?? 0)) < 1e-5)
  const adapter = freshAdapter(base, 3)
  disturb(adapter, 8)
  const tuned = opened(0.1, new Float64Array(0), adapter)
  await tuned.objective.begin()
  assert.ok(Math.abs((await tuned.objective.learn([0, 1, 2])).trainLoss - Math.log(2)) < 1e-6)
  assert.notDeepEqual(tuned.objective.reference, bare.objective.reference)
})

test('a resumed training keeps the reference of its beginning, though the model has moved', async () => {
  const first = opened(0.3)
  await first.objective.begin()
  disturb(first.adapter, 8)
  first.moveTo()
  const again = opened(0.3, first.objective.reference, first.adapter)
  await again.objective.begin()
  assert.deepEqual(again.objective.reference, first.objective.reference)
  assert.deepEqual(await again.objective.validate(), await first.objective.validate())
  assert.throws(() => opened(0.3, new Float64Array(4)), /belongs to other data/)
})

test('steps on pairs make preferred outputs likelier than the others, of each size of batch', async () => {
  for (const size of [1, 3]) {
    const { passes, objective } = opened(0.5)
    await objective.begin()
    for (let step = 1; step <= 30; step += 1) {
      passes.clearGradients()
      await objective.learn(size === 1 ? [step % 3] : [0, 1, 2])
      passes.update(step, 0.01, 0)
    }
    const { trainLoss, trainRewards } = await objective.learn([0, 1, 2])
    assert.ok(trainLoss < 0.2, String(trainLoss))
    assert.equal(trainRewards?.accuracy, 1)
  }
})

test('auto is what Azure documents for beta and l2_multiplier, goes by the base for the rest, and given numbers are kept', () => {
  const auto = { nEpochs: 'auto', batchSize: 'auto', learningRateMultiplier: 'auto' } as const
  const given = { examples: 20, tokens: 1400, parameters: 1_600_000 }
  const resolved = resolvePreference(auto, given)
  assert.equal(resolved.beta, 0.1)
  assert.equal(resolved.l2Multiplier, 0.1)
  assert.deepEqual([resolved.nEpochs, resolved.learningRateMultiplier], [10, 0.5])
  assert.equal(resolvePreference(auto, { ...given, tokens: 50_000 }).nEpochs, 3)
  const large = resolvePreference(auto, { ...given, parameters: 135_000_000 })
  assert.deepEqual([large.nEpochs, large.learningRateMultiplier], [3, 0.05])
  const own = { nEpochs: 2, batchSize: 3, learningRateMultiplier: 0.5, beta: 0.3, l2Multiplier: 0 }
  assert.deepEqual(resolvePreference(own, given), own)
})
