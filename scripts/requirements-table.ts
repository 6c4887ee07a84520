import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'

/** Writes docs/requirements.md: each requirement of the article, the code that implements it, and its tests. */
const root = fileURLToPath(new URL('..', import.meta.url))
const STATEMENTS: Readonly<Record<string, string>> = {
  R01: 'Data is encrypted automatically when it is persisted',
  R02: 'FIPS 140-2 compliant 256-bit AES',
  R03: 'Transparent: no change to code or applications',
  R04: 'Service-managed keys by default',
  R05: 'Customer-managed keys: create, rotate, disable, revoke access, audit',
  R06: 'Keys live in Azure Key Vault; created by its API or imported',
  R07: 'Resource and vault: same region, same tenant; subscriptions may differ',
  R08: 'Soft delete and purge protection must be on',
  R09: "With the vault's firewall, trusted Microsoft services must be allowed",
  R10: 'The vault must use access policies',
  R11: 'The identity needs get, wrap key and unwrap key',
  R12: 'Only RSA and RSA-HSM keys of size 2048',
  R13: 'Turn the system-assigned identity on',
  R14: 'Access policies in the portal',
  R15: 'Enable by key URI, or by choosing vault and key',
  R16: 'Update the key version',
  R17: 'Use a different key',
  R18: 'Rotation does not trigger re-encryption',
  R19: 'Revoke by changing the access policy',
  R20: 'Revoke by changing permissions on the vault',
  R21: 'Revoke by deleting the key or single versions',
  R22: 'Revoked: downloads of training data and results fail',
  R23: 'Revoked: fine-tuning new models fails',
  R24: 'Revoked: deploying fine-tuned models fails',
  R25: 'Revoked: what is deployed keeps serving until it is deleted',
  R26: 'Training files are deleted with DELETE',
  R27: 'Data is logically isolated by subscription and API credentials',
  R28: 'Fine-tuned models and deployments are deleted with DELETE',
  R29: 'Disable customer-managed keys',
  R30: 'Enabling in the portal turns on the identity and gives it access',
  R31: 'Turning the identity off makes the data inaccessible',
  R32: 'Moving to another directory leaves the identity behind',
}

async function citations(
  folders: readonly string[],
  isWanted: (path: string) => boolean,
): Promise<Map<string, Set<string>>> {
  const found = new Map<string, Set<string>>()
  for (const folder of folders) {
    const entries = await readdir(join(root, folder), { recursive: true, withFileTypes: true }).catch(() => [])
    for (const entry of entries) {
      const path = join(entry.parentPath, entry.name)
      if (!entry.isFile() || !/\.tsx?$/.test(path) || !isWanted(path)) continue
      for (const [id] of (await readFile(path, 'utf8')).matchAll(/\bR\d\d\b/g))
        found.set(id, (found.get(id) ?? new Set()).add(relative(root, path)))
    }
  }
  return found
}

const isTest = (path: string): boolean => path.endsWith('.test.ts')
const links = (paths: Set<string> | undefined): string =>
  [...(paths ?? [])]
    .toSorted()
    .map(path => `[${path.replace(/^(src|test)\//, '')}](../${path})`)
    .join(', ') || 'not yet'

const code = await citations(['src', 'portal/src'], path => !isTest(path))
const tests = await citations(['src', 'test'], isTest)
const rows = Object.entries(STATEMENTS).map(
  ([id, text]) => `| ${id} | ${text} | ${links(code.get(id))} | ${links(tests.get(id))} |`,
)
const text = `# The article, sentence by sentence

The requirements of Microsoft's article "Azure OpenAI Service encryption of data at rest", the code that implements each, and its tests.
Written by \`npm run docs\` from the ids that code and tests cite; \`test/requirements.test.ts\` fails for an id that is missing.

| id | the article says | decided in | held by |
|---|---|---|---|
${rows.join('\n')}
`
await writeFile(join(root, 'docs/requirements.md'), text)
