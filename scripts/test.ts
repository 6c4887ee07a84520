import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'

/** Format, lint, types, dead code, whether the built portal fits its sources, then every test; with arguments, only the named tests. */
const bin = fileURLToPath(new URL('../node_modules/.bin/', import.meta.url))
const root = fileURLToPath(new URL('..', import.meta.url))
// As the launcher does, since each test starts a cloud.
process.env['NODE_COMPILE_CACHE'] ??= `${root}node_modules/.cache/compile`

function run(name: string, command: string, args: readonly string[]): boolean {
  process.stdout.write(`\n== ${name}\n`)
  const { status } = spawnSync(command, args, {
    cwd: root,
    stdio: 'inherit',
    env: { ...process.env, PATH: `${bin}:${process.env['PATH'] ?? ''}` },
  })
  return status === 0
}

const only = process.argv.slice(2)
const patterns = only.length > 0 ? only : ['src/**/*.test.ts', 'test/**/*.test.ts']
const results = [
  only.length > 0 || run('format', `${bin}oxfmt`, ['--check', '.']),
  only.length > 0 || run('lint', 'npm', ['run', '--silent', 'lint']),
  only.length > 0 || run('types', `${bin}tsc`, ['--noEmit']),
  only.length > 0 || run('dead code', `${bin}knip`, []),
  only.length > 0 || run('portal', process.execPath, [`${root}scripts/build-portal.ts`, '--check']),
  run('tests', process.execPath, [
    '--test',
    '--test-reporter=spec',
    '--test-concurrency=2',
    '--test-timeout=300000',
    ...patterns,
  ]),
]
process.exit(results.every(Boolean) ? 0 : 1)
