import { registerHooks } from 'node:module'
import type { Llama } from 'node-llama-cpp'
import type { GpuVariant } from './engine-settings.ts'
import { EngineFailure } from './failures.ts'

/**
 * node-llama-cpp loads its library in a process of its own first, to see whether that one crashes. Here every use of it is in a process that
 * may crash, and may start no other, so its module that does this (in the exactly pinned version) is replaced.
 */
const TRIAL = '/node-llama-cpp/dist/bindings/utils/testBindingBinary.js'
const NO_TRIAL = 'export const testBindingBinary = async () => true'

/** The prebuilt llama.cpp of node-llama-cpp's package: not compiled here, without logs. @throws EngineFailure where it can't use the GPU */
export async function openLlama(threads: number, variant: GpuVariant = 'cpu'): Promise<Llama> {
  const hooks = registerHooks({
    load: (url, context, next) =>
      url.endsWith(TRIAL) ? { format: 'module', source: NO_TRIAL, shortCircuit: true } : next(url, context),
  })
  const { getLlama, LlamaLogLevel } = await import('node-llama-cpp').finally(() => hooks.deregister())
  const gpu = variant === 'cpu' ? false : variant
  const llama = await getLlama({
    gpu,
    build: 'never',
    maxThreads: threads,
    logLevel: LlamaLogLevel.disabled,
    usePrebuiltBinaries: true,
  })
  if (llama.gpu !== gpu) throw new EngineFailure(`llama.cpp runs on ${llama.gpu || 'the CPU'}`)
  return llama
}
