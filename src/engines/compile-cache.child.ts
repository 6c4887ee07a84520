/** Loads what engines load, without doing anything with it, so that Node.js keeps what it compiles. */
await Promise.all([
  import('node-llama-cpp'),
  import('./encode-file.ts'),
  import('./frames.ts'),
  import('./ggml.ts'),
  import('./llama-vocabulary.ts'),
  import('./memory-file.ts'),
  import('./model-passes.ts'),
  import('./model-shape.ts'),
  import('./objective.ts'),
  import('./preference.ts'),
  import('./sealed-weights.ts'),
  import('./stop-filter.ts'),
  import('./training-run.ts'),
  import('./training-state.ts'),
])
