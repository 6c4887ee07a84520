import { isAlias, isMap, isScalar, isSeq, type Document, type LineCounter, type Node } from 'yaml'

/** Names and indexes from the top of the file down. */
export type Path = readonly (string | number)[]

/** `subscriptions[0].resourceGroups[1].name` */
export function pathText(path: Path): string {
  return path
    .map((part, index) => (typeof part === 'number' ? `[${part}]` : `${index === 0 ? '' : '.'}${part}`))
    .join('')
}

/** Where fields are in the file, for whoever has to fix it. */
export interface Lines {
  readonly file: string
  /** The line on which the field begins, from 1. For a missing field, the line of its parent. */
  of(path: Path): number
}

export function linesOf(file: string, document: Document, counter: LineCounter): Lines {
  return {
    file,
    of(path) {
      let offset = 0
      let node: unknown = document.contents
      for (const part of path) {
        const found = step(isAlias(node) ? node.resolve(document) : node, part)
        if (found === undefined) break
        offset = found.offset
        node = found.node
      }
      return Math.max(counter.linePos(offset).line, 1)
    },
  }
}

function step(node: unknown, part: string | number): { offset: number; node: unknown } | undefined {
  if (isMap(node)) {
    const pair = node.items.find(({ key }) => isScalar(key) && String(key.value) === String(part))
    return pair === undefined ? undefined : { offset: startOf(pair.key), node: pair.value }
  }
  const item = isSeq(node) ? node.items[Number(part)] : undefined
  return item === undefined ? undefined : { offset: startOf(item), node: item }
}

function startOf(node: unknown): number {
  return (node as Node).range?.[0] ?? 0
}
