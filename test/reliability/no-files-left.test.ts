import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { test } from 'node:test'

/** Each starts another program, and returns the outcome. */
const STARTS = {
  'src/engines/engine-process.ts': [
    `m.startEngineProcess(new URL('file:///none.child.ts'), 'engine').next()`,
    /the engine could not start: spawn \/bin\/sh EMFILE/,
  ],
  'src/folder/freshness.ts': [`m.writeHead('command:/bin/true', 'a head')`, /spawn \/bin\/true EMFILE/],
  'src/trust/run-program.ts': [
    `m.runProgram('/bin/true', []).then(({ errors }) => { throw new Error(errors) })`,
    /spawn \/bin\/true EMFILE/,
  ],
} as const

for (const [file, [start, why]] of Object.entries(STARTS))
  test(`where the process may open no more files, what ${file} starts fails without ending the process`, () => {
    const { href } = new URL(`../../${file}`, import.meta.url)
    const program = `
      import { openSync } from 'node:fs'
      const m = await import('${href}')
      for (let full = false; !full;) try { openSync('/dev/null') } catch { full = true }
      const said = await ${start}.then(() => 'nothing', error => error.message)
      await new Promise(resolve => setTimeout(resolve, 50))
      console.log('said ' + said)
      process.exit()`
    const { stdout, stderr } = spawnSync(
      '/bin/sh',
      ['-c', 'ulimit -n 60; exec "$0" --input-type=module -e "$1"', process.execPath, program],
      { encoding: 'utf8' },
    )
    assert.match(stdout, why, stderr.slice(0, 2000))
  })
