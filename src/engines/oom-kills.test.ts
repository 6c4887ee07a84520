import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { oomBetween, readOomKills } from './oom-kills.ts'

function machine(files: Readonly<Record<string, string>>): { readonly root: string; readonly remove: () => void } {
  const root = mkdtempSync(join(tmpdir(), 'ownkey-oom-'))
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(root, name)), { recursive: true })
    writeFileSync(join(root, name), text)
  }
  return { root, remove: () => rmSync(root, { recursive: true }) }
}

const cases = {
  'a control group of version 2': {
    'proc/self/cgroup': '0::/system.slice/ownkey.service\n',
    'sys/fs/cgroup/system.slice/ownkey.service/memory.events': 'low 0\nhigh 0\nmax 7\noom 3\noom_kill 3\n',
  },
  'a control group of version 1': {
    'proc/self/cgroup': '9:name=systemd:/\n4:cpu,memory:/a\n0::/\n',
    'sys/fs/cgroup/memory/a/memory.oom_control': 'oom_kill_disable 0\nunder_oom 0\noom_kill 3\n',
  },
  'a container that sees its own group as the root': {
    'proc/self/cgroup': '0::/../../elsewhere\n',
    'sys/fs/cgroup/memory.events': 'max 7\noom_kill 3\n',
  },
}

for (const [title, files] of Object.entries(cases)) {
  test(`the kernel's count of processes that it ended because memory ran out is read: ${title}`, () => {
    const { root, remove } = machine(files)
    assert.deepEqual(readOomKills(root), { group: 3, machine: undefined })
    remove()
  })
}

test('a rise means that memory ran out', () => {
  const { root, remove } = machine({ 'proc/vmstat': 'nr_free_pages 1\noom_kill 12\n' })
  assert.deepEqual(readOomKills(root), { group: undefined, machine: 12 })
  remove()
  const none = { group: undefined, machine: undefined }
  assert.equal(oomBetween({ ...none, machine: 12 }, { ...none, machine: 13 }), true)
  assert.equal(oomBetween({ group: 1, machine: 12 }, { group: 1, machine: 12 }), false)
})

test('without any counter it is not known whether memory ran out', () => {
  const none = { group: undefined, machine: undefined }
  assert.equal(oomBetween(none, none), undefined)
})
