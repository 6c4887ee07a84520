import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { cp, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import type { TestCloud } from './cloud.ts'
import { openLocalhostProxy } from './localhost-proxy.ts'

const run = promisify(execFile)

/** Terraform in a copy of one of examples/terraform. */
export class Terraform {
  /** For `{ skip }`: why it can't be run here. */
  readonly skip: string | false
  readonly dir: string
  #env: NodeJS.ProcessEnv

  constructor(dir: string, env: NodeJS.ProcessEnv, skip: string | false) {
    this.dir = dir
    this.#env = env
    this.skip = skip
  }

  /**
   * Takes the provider from its registry, or from where it was built or downloaded before:
   * `variable` names the environment variable with the path of `terraform-provider-...`.
   * @param test ends the folder
   */
  static async with(
    { example, source, variable }: { example: string; source: string; variable: string },
    test: { after(fn: () => Promise<void>): void },
  ): Promise<Terraform> {
    const dir = await mkdtemp(join(tmpdir(), 'ownkey-terraform-'))
    test.after(() => rm(dir, { recursive: true, force: true }))
    await cp(new URL(`../../examples/terraform/${example}`, import.meta.url), dir, { recursive: true })
    const provider = process.env[variable]
    const config = join(dir, 'terraformrc')
    const override = `provider_installation {\n  dev_overrides {\n    "${source}" = "${dirname(provider ?? '')}"\n  }\n  direct {}\n}\n`
    await writeFile(config, provider === undefined ? '' : override)
    const env = {
      ...process.env,
      CHECKPOINT_DISABLE: '1',
      TF_IN_AUTOMATION: '1',
      TF_INPUT: '0',
      TF_CLI_CONFIG_FILE: config,
    }
    const command = provider === undefined ? ['init', '-input=false'] : ['version']
    const skip = await run('terraform', command, { cwd: dir, env, timeout: 120_000 }).then(
      () => false as const,
      () => `Terraform with ${source}: terraform on PATH, and its registry or ${variable}=/path/to/the/provider`,
    )
    return new Terraform(dir, env, skip)
  }

  /** Points its commands at this cloud. `ends` gets the cleanup for after the tests. */
  async pointAt({ endpoints }: TestCloud, ends: (() => Promise<void>)[]): Promise<void> {
    const { authority, resourceManager, tenantId, subscriptionId, administrator, caCertificate } = endpoints
    const proxy = await openLocalhostProxy()
    ends.push(() => proxy.close())
    this.#env = {
      ...this.#env,
      HTTPS_PROXY: proxy.url,
      SSL_CERT_FILE: caCertificate,
      ARM_ACTIVE_DIRECTORY_AUTHORITY_HOST: authority,
      ARM_RESOURCE_MANAGER_ENDPOINT: resourceManager,
      ARM_RESOURCE_MANAGER_AUDIENCE: resourceManager,
      ARM_DISABLE_INSTANCE_DISCOVERY: 'true',
      ARM_METADATA_HOSTNAME: new URL(resourceManager).host,
      ARM_TENANT_ID: tenantId,
      ARM_SUBSCRIPTION_ID: subscriptionId,
      ARM_CLIENT_ID: administrator.clientId,
      ARM_CLIENT_SECRET: administrator.clientSecret,
      ARM_USE_CLI: 'false',
    }
  }

  /** One command with these variables. Resolves to what it printed; fails the test when it fails. */
  async run(command: string, variables: Readonly<Record<string, string>> = {}): Promise<string> {
    const values = Object.entries(variables).flatMap(([name, value]) => ['-var', `${name}=${value}`])
    return run('terraform', [...command.split(' '), '-no-color', ...values], {
      cwd: this.dir,
      env: this.#env,
      timeout: 600_000,
      maxBuffer: 1 << 26,
    }).then(
      ({ stdout }) => stdout,
      (error: { stdout?: string; stderr?: string }) => assert.fail(`${error.stdout ?? ''}${error.stderr ?? ''}`),
    )
  }

  async output(name: string): Promise<string> {
    return (await this.run(`output -raw ${name}`)).trim()
  }
}
