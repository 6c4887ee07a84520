/** Where models are computed. `auto`: on the best that there is. */
export type GpuChoice = 'cpu' | 'auto' | 'cuda' | 'vulkan' | 'metal'
/** A variant of llama.cpp. */
export type GpuVariant = Exclude<GpuChoice, 'auto'>

/** How many of a model's layers the GPU computes: a number, all, or as many as fit. */
export type GpuLayers = number | 'max' | 'auto'

/** How an operator lets engines run. What is absent has its default. */
export interface EngineSettings {
  /** At most so many threads for each engine. */
  readonly threads?: number | undefined
  /** Tokens; a model with a longer context is served with this one. */
  readonly context?: number | undefined
  /** Bytes of its own that one engine may use. */
  readonly memory?: number | undefined
  readonly gpu?: GpuChoice | undefined
  readonly gpuLayers?: GpuLayers | undefined
}

/** What a base model asks for itself. It wins over the settings. */
export interface BaseSettings {
  /** Exactly so many threads, also on busy cores. */
  readonly threads?: number | undefined
  /** Tokens with which it is served. */
  readonly context?: number | undefined
  readonly gpuLayers?: GpuLayers | undefined
}

/** Settings as options of the trainer and of the runtime, which have a default for the rest. @param gpu what was found of `settings.gpu` */
export function engineOptions(settings: EngineSettings = {}, gpu?: { readonly variant: GpuVariant }) {
  const { threads, memory, context, gpuLayers } = settings
  const training = {
    ...(memory === undefined ? {} : { memory }),
    ...(threads === undefined ? {} : { threads }),
  }
  const serving = {
    ...training,
    ...(context === undefined ? {} : { maxContext: context }),
    ...(gpuLayers === undefined ? {} : { gpuLayers }),
    ...(gpu === undefined ? {} : { gpu: gpu.variant }),
  }
  return { training, serving }
}
