import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import { writeFileAtomically } from '../store/atomic-file.ts'

const client = z.object({ tenantId: z.string(), clientId: z.string(), clientSecret: z.string() })
const content = z.object({
  /** Administrators of tenants, by the tenant's name. */
  tenants: z.record(z.string(), client).default({}),
  /** By `<tenant id>/<name>`. */
  applications: z.record(z.string(), client).default({}),
  /** By user principal name. */
  users: z.record(z.string(), z.object({ password: z.string() })).default({}),
})
type Content = z.infer<typeof content>

/** Secrets that were made for a seed file. The directory keeps only hashes of them, so this file (0600) is the only place with them. */
export class SeedSecrets {
  readonly file: string
  readonly #content: Content

  private constructor(file: string, known: Content) {
    this.file = file
    this.#content = known
  }

  static async open(dataDir: string): Promise<SeedSecrets> {
    const file = join(dataDir, 'seed-secrets.json')
    const text = await readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'ENOENT') throw error
      return '{}'
    })
    return new SeedSecrets(file, content.parse(JSON.parse(text)))
  }

  get isEmpty(): boolean {
    return Object.values(this.#content).every(kind => Object.keys(kind).length === 0)
  }

  passwordOf(userPrincipalName: string): string | undefined {
    return this.#content.users[userPrincipalName]?.password
  }

  /** Durable when the promise resolves. */
  async keep<Kind extends keyof Content>(kind: Kind, name: string, secret: Content[Kind][string]): Promise<void> {
    Object.assign(this.#content[kind], { [name]: secret })
    await writeFileAtomically(this.file, `${JSON.stringify(this.#content, null, 2)}\n`, 0o600)
  }
}
