import { UsageError } from '../../base/usage-error.ts'
import { inWords, oneOf, rarely, wholeNumber, type Option, type Values } from '../option.ts'

const GPUS = ['cpu', 'auto', 'cuda', 'vulkan', 'metal'] as const

/** Of a model, or of all that say nothing themselves. */
export const gpuLayers: Option<number | 'max' | 'auto' | undefined> = {
  placeholder: 'N',
  about: 'layers on it: N, max or auto [auto]',
  read(given) {
    if (given === undefined || given === 'max' || given === 'auto') return given
    if (/^\d{1,5}$/.test(given)) return Number(given)
    throw new UsageError(`--gpu-layers ${given}: it must be a whole number, max or auto.`)
  },
}

/** How engines run, for commands that start some. */
export const engineOptions = {
  gpu: rarely({ ...oneOf(GPUS, `serve on ${inWords(GPUS)}`), placeholder: 'NAME' }),
  'gpu-layers': rarely(gpuLayers),
  'engine-threads': rarely(wholeNumber('N', 'threads of one engine, at most [2]', { least: 1, most: 1024 })),
  'engine-context': rarely(
    wholeNumber('N', 'tokens: serve with at most so many [4096]', { least: 64, most: 10_000_000 }),
  ),
  'engine-memory-mib': rarely(wholeNumber('N', 'end an engine that uses more', { least: 256, most: 99_999_999 })),
}

type EngineValues = Values<typeof engineOptions>

/** The values as an `EngineSettings` of src/engines. */
export function engineSettings(values: EngineValues) {
  const mib = values['engine-memory-mib']
  return {
    gpu: values.gpu,
    gpuLayers: values['gpu-layers'],
    threads: values['engine-threads'],
    context: values['engine-context'],
    memory: mib === undefined ? undefined : mib * 1024 * 1024,
  }
}

/** The values as words for a command line. */
export function engineWords(values: EngineValues): string[] {
  const names = Object.keys(engineOptions) as (keyof EngineValues)[]
  return names.flatMap(name => (values[name] === undefined ? [] : [`--${name}`, String(values[name])]))
}
