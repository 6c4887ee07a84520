import { startEngineProcess } from './engine-process.ts'
import { EngineFailure, EngineLost } from './failures.ts'

/**
 * Lays a conversation out by a template in a process of its own, since a template is a program of the file's maker.
 * @throws EngineFailure that says why it can't be used: it is not valid, leaves messages out, or takes too long or too much memory
 */
export async function tryTemplate(source: string, ends: { readonly bos: string; readonly eos: string }): Promise<void> {
  const child = startEngineProcess(new URL('./template.child.ts', import.meta.url), 'chat template of the model')
  try {
    await child.send({ source, ...ends })
    const { fault } = (await child.next()).header
    if (typeof fault === 'string') throw new EngineFailure(fault)
  } catch (error) {
    if (!(error instanceof EngineLost)) throw error
    const why = error.reason === 'memory' ? 'it needs more memory than there is' : error.message
    throw new EngineFailure(`the chat template of the model can't be used: ${why}`, { cause: error })
  } finally {
    child.kill()
    await child.ended
  }
}
