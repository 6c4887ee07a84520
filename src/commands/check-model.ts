import { readFile, stat } from 'node:fs/promises'
import { fitted } from '../base/terminal.ts'
import { UsageError } from '../base/usage-error.ts'
import { Catalogue } from '../engines/catalogue.ts'
import type { BaseModel } from '../engines/engine.ts'
import { engineOptions, type EngineSettings } from '../engines/engine-settings.ts'
import { findGpu } from '../engines/gpu.ts'
import { llamaRuntime, servedContext } from '../engines/inference.ts'
import { openModels } from '../engines/models-file.ts'
import { weightsOf } from './models-folder.ts'

const QUESTION = 'What is the capital of France? Answer in one sentence.'
const MOST_TOKENS = 64
const WAIT_MS = 300_000
/** Bytes of a parameter in the transposed copy that the trainer keeps beside the weights. */
const TURNED_BYTES = 2

/** Loads a base model as a deployment does, and chats once. Resolves to the exit code. */
export async function checkModel(options: { dataDir: string; name: string; engines: EngineSettings }): Promise<number> {
  const { dataDir, name, engines } = options
  const catalogue = new Catalogue(await openModels(dataDir, weightsOf(dataDir)))
  const base = catalogue.get(name)
  if (base === undefined) throw new UsageError(`There is no base model ${name}: ./ownkey models list`)
  const gpu = await findGpu(engines.gpu ?? 'cpu')
  const began = performance.now()
  const model = await llamaRuntime(catalogue, engineOptions(engines, gpu).serving).load({
    id: 'check',
    base: base.name,
  })
  try {
    const loadedMs = performance.now() - began
    const { text, tokens, ms } = await ask(model)
    const megabytes = (bytes: number): string => `${Math.ceil(bytes / 1e6).toLocaleString('en')} MB`
    const tuned = base.fineTune
      ? `yes, with about ${megabytes((await stat(base.path)).size + base.parameters * TURNED_BYTES)} for the weights and more for each batch`
      : `no: ${base.untrainable ?? 'this trainer does not take it'}`
    const lines = [
      `${base.name}: ${base.description}`,
      `  loaded       in ${(loadedMs / 1000).toFixed(1)} s, ${megabytes(await residentBytes(model.pid))} of memory`,
      `  speed        ${(tokens / (ms / 1000)).toFixed(1)} tokens a second on this machine now`,
      `  computed on  ${gpu.devices.length === 0 ? 'the CPU' : `${gpu.devices.join(', ')} (${gpu.variant})`}`,
      `  context      ${contextOf(base, engines)}`,
      `  fine-tuning  ${tuned}`,
      `  asked        ${QUESTION}`,
      `  answered     ${text.trim().replaceAll(/\s+/g, ' ')}`,
    ]
    process.stdout.write(`${fitted(lines.join('\n'), '               ')}\n`)
    return 0
  } finally {
    await model.unload()
  }
}

function contextOf(base: BaseModel, { context }: EngineSettings): string {
  const served = servedContext(base, context)
  const rest =
    served === base.contextLength
      ? ''
      : `, of ${base.contextLength.toLocaleString('en')} that it can have (--engine-context, or context in models.yaml)`
  return `${served.toLocaleString('en')} tokens${rest}`
}

async function ask(model: Awaited<ReturnType<ReturnType<typeof llamaRuntime>['load']>>) {
  const began = performance.now()
  let [text, tokens] = ['', 0]
  const request = { messages: [{ role: 'user', content: QUESTION }], temperature: 0, maxTokens: MOST_TOKENS } as const
  for await (const delta of model.chat(request, AbortSignal.timeout(WAIT_MS)))
    if (delta.type === 'text') text += delta.text
    else tokens = delta.completionTokens
  return { text, tokens, ms: performance.now() - began }
}

/** Of a process; 0 where the system does not say. */
async function residentBytes(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => '')
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1] ?? 0) * 1024
}
