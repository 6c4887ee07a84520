import { spawnSync } from 'node:child_process'
import { command } from '../command.ts'
import { flag } from '../option.ts'

export const demo = command({
  name: 'demo',
  summary: 'play the story: seal, train, rotate, revoke, delete',
  notes: ['Exit code 1: something did not hold.'],
  examples: ['demo'],
  options: { keep: flag('keep the folder of its cloud') },
  async run({ keep }) {
    return (await import('../../demo/run-demo.ts')).runDemo({ keep })
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
    const script = new URL('../../../scripts/test.ts', import.meta.url).pathname
    return spawnSync(process.execPath, [script, ...files], { stdio: 'inherit' }).status ?? 1
  },
})
