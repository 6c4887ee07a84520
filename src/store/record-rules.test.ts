import assert from 'node:assert/strict'
import { test } from 'node:test'
import { onlyRemoves } from './record-rules.ts'
import { collection, mustExist, mustNotExist, put, remove } from './records.ts'

const things = collection<number>('things')

test('a commit may use the last of a full disk when it removes records, whatever it depends on, and writes none', () => {
  const gone = remove(things, 'a')
  const depends = [mustExist(things, 'b'), mustNotExist(things, 'c')]
  const written = put(things, 'b', 1)
  for (const changes of [[gone], [gone, remove(things, 'b', 3)], [gone, ...depends], [...depends, gone]])
    assert.ok(onlyRemoves(changes))
  for (const changes of [[], depends, [written], [gone, written], [written, gone], [...depends, gone, written]])
    assert.ok(!onlyRemoves(changes))
})
