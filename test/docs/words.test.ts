import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { root } from './blocks.ts'

interface Word {
  readonly rule: string
  /** Alternatives as a regular expression. A blank also matches the end of a line, with the comment's sign on the next. */
  readonly not: string
  /** Files in which it is right, with the reason. */
  readonly right?: Readonly<Record<string, string>>
}

const LABEL = "the label of Azure's portal"
const COMPARED =
  'longer|more|less|fewer|better|worse|way|such|other|one|older|newer|later|earlier|larger|smaller|slower|wider'

/** Words that this repository once used in a sense of its own. Room on a disk, segments of a path and a clock's ticks are not found. */
const WORDS: readonly Word[] = [
  {
    rule: 'a module or folder is not called a room',
    not: 'rooms|(?:this|that|each|every|another|whose|its) room',
  },
  {
    rule: 'a chunk is not called a segment',
    not: 'segments? (?:of|in) (?:a|the|each|every) (?:blob|file)s?|sealed segments?',
  },
  {
    rule: 'scheduled maintenance is not called upkeep, nor what a timer starts a tick',
    not: String.raw`upkeep|#tick|(?<!\.)tick\(\)`,
  },
  { rule: 'what is wrong is fixed, not mended', not: 'mend|mends|mended|mending' },
  { rule: 'the present is not called by now', not: 'by now' },
  {
    rule: 'a person is they',
    not: 'he|she|him|his|hers|himself|herself',
    right: { 'scripts/pretrain-facts.ts': 'stories that the model learns' },
  },
  { rule: 'something is not X, in place of is none of X', not: '(?:is|are|was|were) none of' },
  {
    rule: 'something is not an X, in place of is no X',
    not: `(?<!there )(?:is|are|was|were) no (?!(?:${COMPARED})\\b)`,
  },
  {
    rule: "keys of the service are service-managed, except where the portal has Azure's label",
    not: 'microsoft[- ]managed',
    right: {
      'portal/src/pages/account/encryption.tsx': LABEL,
      'portal/src/pages/create.tsx': LABEL,
      'portal/src/parts/encryption-badge.tsx': LABEL,
      'scripts/portal-states.ts': LABEL,
      'test/portal/article.test.ts': LABEL,
      'test/portal/keyboard.test.ts': LABEL,
    },
  },
]

const FOLDERS = ['src', 'test', 'bench', 'scripts', 'examples', 'portal/src', 'docs', 'models']
const TEXT = /(?:^ownkey|\.(?:tsx?|mjs|js|py|c|sh|tf|ya?ml|html|css|md|txt))$/
const self = 'test/docs/words.test.ts'

const inFolders = FOLDERS.flatMap(folder =>
  readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' }).map(name => `${folder}/${name}`),
)
const paths = [...readdirSync(root), ...inFolders].filter(
  path => TEXT.test(path) && !path.includes('/.') && path !== self,
)
/** Each begins with its own path, since names of files are words too. */
const texts = paths.toSorted().map(path => ({ path, text: `${path}\n${readFileSync(join(root, path), 'utf8')}` }))

function saidIn(text: string, { not }: Word): string[] {
  const gap = String.raw`\s+(?:(?:\*|//|#)\s+)?`
  const pattern = new RegExp(String.raw`(?<!\w)(?:${not.replaceAll(' ', gap)})(?!\w)`, 'gi')
  return Array.from(text.matchAll(pattern), ({ 0: said, index }) => {
    return `line ${text.slice(0, index).split('\n').length - 1}: ${said.replaceAll(/\s+/g, ' ')}`
  })
}

for (const word of WORDS)
  test(`words: ${word.rule}`, () => {
    const right = Object.keys(word.right ?? {})
    const found = texts
      .map(({ path, text }) => ({ path, said: saidIn(text, word) }))
      .filter(({ said }) => said.length > 0)
    assert.deepEqual(
      found.filter(({ path }) => !right.includes(path)),
      [],
    )
    const stale = right.filter(path => !found.some(other => other.path === path))
    assert.deepEqual(stale, [], 'these files do not say it any more')
  })
