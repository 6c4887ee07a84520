/** Becomes another program, on a kernel that lacks what the first word says: `landlock`, `filter` or both. */
import { addFilter, setNoNewPrivileges } from '../../src/engines/sandbox/kernel.ts'
import { withoutFilter } from '../../src/engines/sandbox/seccomp.ts'

const LACKS: Readonly<Record<string, readonly number[]>> = {
  landlock: [444, 445, 446],
  filter: [process.arch === 'arm64' ? 277 : 317],
}
const [lacks = '', program = '', ...words] = process.argv.slice(2)
const processor = process.arch === 'arm64' ? 'arm64' : 'x64'
setNoNewPrivileges()
const calls = lacks.split(',').flatMap(name => LACKS[name] ?? [])
if (!addFilter(withoutFilter(processor, calls), 'all')) throw new Error('The filter was refused.')
process.execve?.(program, [program, ...words], process.env)
