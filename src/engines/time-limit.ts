import { createContext, Script } from 'node:vm'

const context = createContext(Object.assign(Object.create(null), { work: undefined })) as { work: unknown }
const script = new Script('work()')

/** Runs synchronous work, and ends it where it takes longer. @param limitMs @throws TimeLimit, or what the work throws */
export function withinTime<T>(limitMs: number, work: () => T): T {
  const outer = context.work
  context.work = work
  try {
    return script.runInContext(context, { timeout: limitMs }) as T
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ERR_SCRIPT_EXECUTION_TIMEOUT') throw error
    throw new TimeLimit(`it takes longer than ${limitMs / 1000} s`, { cause: error })
  } finally {
    context.work = outer
  }
}

class TimeLimit extends Error {
  override readonly name = 'TimeLimit'
}
