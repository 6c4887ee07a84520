import { readdir, readFile } from 'node:fs/promises'
import { join, relative, resolve } from 'node:path'
import { SyntaxKind } from 'typescript/unstable/ast'
import { createScanner } from 'typescript/unstable/ast/scanner'

const root = resolve(import.meta.dirname, '../..')
const IS_TEST = /\.(test|fixture|test-support)\.ts$|conformance\.ts$/

/** After these a slash divides; after anything else it begins a pattern. */
const VALUES = new Set([
  SyntaxKind.Identifier,
  SyntaxKind.PrivateIdentifier,
  SyntaxKind.CloseParenToken,
  SyntaxKind.CloseBracketToken,
  SyntaxKind.CloseBraceToken,
  SyntaxKind.NumericLiteral,
  SyntaxKind.StringLiteral,
  SyntaxKind.NoSubstitutionTemplateLiteral,
  SyntaxKind.TemplateTail,
  SyntaxKind.ThisKeyword,
])

/** Every regular expression of a program's text, and every call that makes one from a string. */
export function patternsIn(text: string): string[] {
  const found: string[] = []
  const scanner = createScanner(true)
  scanner.setText(text)
  const braces: number[] = []
  let before: SyntaxKind = SyntaxKind.Unknown
  let word = ''
  for (let token = scanner.scan(); token !== SyntaxKind.EndOfFile; token = scanner.scan()) {
    const isSlash = token === SyntaxKind.SlashToken || token === SyntaxKind.SlashEqualsToken
    if (isSlash && !VALUES.has(before)) {
      token = scanner.reScanSlashToken()
      found.push(scanner.getTokenText())
    }
    if (token === SyntaxKind.OpenParenToken && word === 'RegExp') found.push('RegExp')
    word = scanner.getTokenText()
    token = closedTemplate(scanner, token, braces)
    before = token
  }
  return found
}

/** A brace that closes a `${…}` is the beginning of the template's next part. */
function closedTemplate(scanner: ReturnType<typeof createScanner>, token: SyntaxKind, braces: number[]): SyntaxKind {
  const last = braces.length - 1
  if (token === SyntaxKind.TemplateHead) braces.push(0)
  else if (token === SyntaxKind.OpenBraceToken && last >= 0) braces[last] = (braces[last] ?? 0) + 1
  else if (token === SyntaxKind.CloseBraceToken && last >= 0) {
    if (braces[last] !== 0) braces[last] = (braces[last] ?? 0) - 1
    else {
      const part = scanner.reScanTemplateToken(false)
      if (part === SyntaxKind.TemplateTail) braces.pop()
      return part
    }
  }
  return token
}

/** Every regular expression of the product, by file. */
export async function productPatterns(): Promise<Map<string, string[]>> {
  const entries = await readdir(join(root, 'src'), { recursive: true, withFileTypes: true })
  const patterns = new Map<string, string[]>()
  const files = entries.filter(entry => entry.isFile() && /\.m?[jt]s$/.test(entry.name) && !IS_TEST.test(entry.name))
  for (const { parentPath, name } of files) {
    const path = join(parentPath, name)
    const found = patternsIn(await readFile(path, 'utf8'))
    if (found.length > 0) patterns.set(relative(root, path), [...new Set(found)].toSorted())
  }
  return patterns
}
