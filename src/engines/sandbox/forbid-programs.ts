import { addFilter } from './kernel.ts'
import { noProgramsFilter } from './seccomp.ts'

/** From now on no thread of this process can start a program or another process. The launcher can't do that, since it starts this one. */
export function forbidPrograms(): void {
  const { arch } = process
  if (arch === 'x64' || arch === 'arm64') addFilter(noProgramsFilter(arch), 'all')
}
