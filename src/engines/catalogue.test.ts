import assert from 'node:assert/strict'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { Catalogue, EMBEDDED_BASE, threadsFor } from './catalogue.ts'
import { openGguf } from './gguf.ts'
import { llamaShape } from './model-shape.ts'

test('unmodified clients reach the embedded base by the names they ask for', () => {
  const catalogue = new Catalogue()
  for (const name of ['gpt-4o-mini-2024-07-18', 'gpt-4o-mini', 'gpt-35-turbo-0125', 'gpt-35-turbo']) {
    assert.equal(catalogue.find(name), EMBEDDED_BASE)
  }
  assert.equal(catalogue.get('gpt-5'), undefined)
  assert.throws(() => catalogue.find('gpt-5'), /the base model gpt-5 is not in this cloud any more/)
})

test('a large model gets the threads that are free when its process starts, and at least one', () => {
  const large = { parameters: 135_000_000 }
  const threads = (load: number, cores = 4): number => threadsFor(large, 4, { cores, load })
  assert.deepEqual(
    [0, 0.4, 1, 2.2, 3.9, 20].map(load => threads(load)),
    [4, 4, 3, 2, 1, 1],
  )
  assert.equal(threads(0, 16), 4)
  assert.equal(threadsFor({ parameters: 1_600_000 }, 4, { cores: 16, load: 0 }), 1)
})

test('an operator adds models and points aliases at them', () => {
  const own = { ...EMBEDDED_BASE, name: 'own', path: '/models/own.gguf' }
  const catalogue = new Catalogue({ models: [own], aliases: { 'gpt-4o-mini': 'own' } })
  assert.equal(catalogue.find('gpt-4o-mini'), own)
  assert.equal(catalogue.find('gpt-35-turbo'), EMBEDDED_BASE)
})

test('a catalogue with a duplicate, a relative path or an alias to nowhere does not start', () => {
  assert.throws(() => new Catalogue({ models: [EMBEDDED_BASE] }), /two base models/)
  assert.throws(() => new Catalogue({ models: [{ ...EMBEDDED_BASE, name: 'a', path: 'a.gguf' }] }), /not absolute/)
  assert.throws(() => new Catalogue({ aliases: { a: 'b' } }), /alias a names b/)
})

test('the embedded base is what the catalogue says', () => {
  assert.ok(existsSync(EMBEDDED_BASE.path))
  const file = openGguf(EMBEDDED_BASE.path)
  assert.equal(llamaShape(file).context, EMBEDDED_BASE.contextLength)
  assert.equal(file.parameters, EMBEDDED_BASE.parameters)
  file.close()
})

test('a base model whose file is missing, cut off or not a model is named when the catalogue is checked', () => {
  const folder = mkdtempSync(join(tmpdir(), 'ownkey-models-'))
  after(() => rmSync(folder, { recursive: true }))
  new Catalogue().check()
  const whole = readFileSync(EMBEDDED_BASE.path)
  for (const [content, says] of [
    [undefined, /The base model own can't be used: There is no .*own\.gguf\. Put .*own\.gguf back/u],
    [whole.subarray(0, 1000), /own can't be used: the model file is cut off or not a GGUF\./u],
    [whole.subarray(0, whole.length - 64), /own can't be used: its file is cut off\./u],
    [Buffer.from('x'.repeat(4000)), /own can't be used: the model file is not a GGUF\./u],
  ] as const) {
    const path = join(folder, 'own.gguf')
    if (content !== undefined) writeFileSync(path, content)
    const catalogue = new Catalogue({ models: [{ ...EMBEDDED_BASE, name: 'own', path }] })
    assert.throws(() => catalogue.check(), says)
  }
})
