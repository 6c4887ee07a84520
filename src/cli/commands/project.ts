import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { command } from '../command.ts'
import { engineOptions, engineWords } from './engine-options.ts'
import { flag, text } from '../option.ts'

export const demo = command({
  name: 'demo',
  summary: 'play the story: seal, train, rotate, revoke, delete',
  notes: ['Exit code 1: something did not hold.'],
  examples: ['demo', 'demo --base smollm2'],
  options: {
    keep: flag('keep the folder of its cloud'),
    base: text('SOURCE', 'with a real model, as `models add` takes it', { completes: 'file' }),
    ...engineOptions,
  },
  async run({ keep, base, ...engines }) {
    return (await import('../../demo/run-demo.ts')).runDemo({ keep, base, words: engineWords(engines) })
  },
})

export const test = command({
  name: 'test',
  summary: 'run every test of OwnKey, or these files',
  synopsis: '[FILE...]',
  mostWords: Infinity,
  words: 'file',
  examples: ['test', 'test src/crypto/sealed-blob.test.ts'],
  options: {},
  async run(_, files) {
    const script = fileURLToPath(new URL('../../../scripts/test.ts', import.meta.url))
    return spawnSync(process.execPath, [script, ...files], { stdio: 'inherit' }).status ?? 1
  },
})

export const run = command({
  name: 'run',
  summary: 'run a program of yours, or an example',
  synopsis: '[--data-dir DIR] FILE [ARGUMENTS]',
  notes: ["Under OwnKey's Node.js, with names below localhost found."],
  examples: ['run --data-dir ./cloud examples/fine-tune.ts'],
  options: { 'data-dir': text('DIR', 'with the environment of this cloud', { completes: 'folder' }) },
  runsProgram: true,
  words: 'file',
  async run(values, [file, ...words]) {
    return (await import('../../commands/run.ts')).runProgram({ dataDir: values['data-dir'], file, words })
  },
})
