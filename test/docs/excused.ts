import { type Block, commandsOf, isShell } from './blocks.ts'

/** A command, or a whole block that is not a command, which the test does not run, and why. */
export interface Excuse {
  readonly page: string
  /** How the command, or the first line of the block, begins. */
  readonly begins: string
  readonly why: string
  /** Whether it is about the whole block, which has no commands. */
  readonly whole?: true
}

const NOTATION = 'notation, not a command; test/decoder and src/crypto hold what it says'
const HEAVY = 'takes minutes, and would run this test again'
const PICTURE = 'a picture, which GitHub draws; test/docs/drawings.test.ts holds what stands in it'
const BY_HAND = 'was tried by hand: its SDK comes from a registry that tests do not use'

/** Everything that is not run. An entry that matches nothing any more fails the test. */
export const EXCUSED: readonly Excuse[] = [
  { page: 'README.md', begins: './ownkey demo', why: 'half a minute; test/requirements holds each step of the story' },
  { page: 'README.md', begins: './ownkey test', why: HEAVY },
  {
    page: 'examples/decoder/README.md',
    begins: 'cp -r ./cloud',
    why: "wants the reader's own cloud; test/security/thief.test.ts runs the thief on copies",
  },
  {
    page: 'examples/decoder/README.md',
    begins: 'python3 thief.py',
    why: 'as the line before it: the thief runs in test/security',
  },
  { page: 'CONTRIBUTING.md', begins: 'npm run portal:build', why: 'the tests run it with --check' },
  {
    page: 'CONTRIBUTING.md',
    begins: 'scripts/fresh-machine.sh',
    why: 'builds whole machines; .ci/run does it',
  },
  {
    page: 'README.md',
    begins: './ownkey trust',
    why: 'changes the stores of the machine; test/trust plays it in stores of its own',
  },
  {
    page: 'README.md',
    begins: './ownkey prove --deleted ID',
    why: 'ID is of something that the reader deleted; test/requirements/prove-deleted.test.ts',
  },
  {
    page: 'README.md',
    begins: 'const client = new AzureOpenAI',
    why: 'the two calls that matter, of examples/fine-tune.ts, which test/examples runs',
    whole: true,
  },
  ...['{"messages"', 'You can call', '<tool_call>', '<tool_response>'].map(begins => ({
    page: 'docs/training-data.md',
    begins,
    why: 'data and what it becomes, which test/docs/training-data.test.ts compares',
    whole: true as const,
  })),
  { page: 'CONTRIBUTING.md', begins: './ownkey test  ', why: HEAVY },
  {
    page: 'CONTRIBUTING.md',
    begins: 'npm run check',
    why: 'is what `./ownkey test` does already, without the slow tests',
  },
  { page: 'CONTRIBUTING.md', begins: 'npm run bench', why: 'measures for minutes, and wants an idle machine' },
  { page: 'CONTRIBUTING.md', begins: 'npm run torture', why: 'test/torture plays a few rounds; 30 take minutes' },
  { page: 'CONTRIBUTING.md', begins: 'npm run overload', why: 'measures for minutes, and wants an idle machine' },
  {
    page: 'CONTRIBUTING.md',
    begins: 'npm run mutate',
    why: 'runs tests for minutes on mutated code, and writes a page',
  },
  { page: 'CONTRIBUTING.md', begins: '.ci/run', why: 'installs programs as root, and would run this test again' },
  { page: 'SECURITY.md', begins: 'flowchart TD', why: PICTURE, whole: true },
  { page: 'docs/architecture.md', begins: 'flowchart TD', why: PICTURE, whole: true },
  { page: 'docs/architecture.md', begins: '%%{init', why: PICTURE, whole: true },
  { page: 'docs/states.md', begins: 'stateDiagram-v2', why: PICTURE, whole: true },
  {
    page: 'docs/adr/0011-diagnostic-settings-write-to-a-folder.md',
    begins: '<diagnostics-dir>/',
    why: 'a path; test/audit/diagnostic-settings.test.ts reads such files',
    whole: true,
  },
  {
    page: 'docs/clients.md',
    begins: './ownkey trust',
    why: 'changes the stores of the machine; test/trust plays it in stores of its own',
  },
  { page: 'docs/clients.md', begins: 'own := cloud.Configuration', why: BY_HAND, whole: true },
  { page: 'docs/clients.md', begins: 'var credential = new ClientSecretCredentialBuilder', why: BY_HAND, whole: true },
  {
    page: 'docs/clients.md',
    begins: 'java -Djavax',
    why: 'the reader\'s own program and hosts file stand behind "..."',
  },
  {
    page: 'docs/clients.md',
    begins: 'var credential = new ClientSecretCredential(',
    why: 'the page says that it was not tried',
    whole: true,
  },
  { page: 'docs/microsoft-tests.md', begins: './ownkey test', why: HEAVY },
  {
    page: 'docs/outside-vaults.md',
    begins: 'AZURE_TENANT_ID=…',
    why: "wants credentials for a vault of the reader's; test/keyvault/outside-vault.test.ts plays it with a second cloud",
  },
  { page: 'docs/outside-vaults.md', begins: 'AZURE_KEYVAULT_URI=', why: 'wants a subscription on Azure' },
  {
    page: 'docs/training.md',
    begins: '{"input"',
    why: 'a line of a file, broken for reading; test/engines/dpo.test.ts uploads such files',
    whole: true,
  },
  {
    page: 'docs/training.md',
    begins: 'models:',
    why: 'a part of models.yaml; test/engines/models.test.ts reads such settings',
    whole: true,
  },
  { page: 'docs/sealed-blob.md', begins: 'header (96)', why: NOTATION, whole: true },
  { page: 'docs/sealed-blob.md', begins: 'digest   =', why: NOTATION, whole: true },
  { page: 'docs/sealed-blob.md', begins: 'chunk i  =', why: NOTATION, whole: true },
  { page: 'docs/sealed-blob.md', begins: 'record = 01', why: NOTATION, whole: true },
  { page: 'docs/sealed-blob.md', begins: 'blob key    0001', why: NOTATION, whole: true },
  {
    page: 'examples/decoder/README.md',
    begins: 'pip install',
    why: 'installs from a registry; .ci/run does it in an environment of its own',
  },
  {
    page: 'examples/terraform/README.md',
    begins: 'eval ',
    why: 'test/clients/terraform.test.ts starts its cloud and runs terraform with these variables',
  },
  { page: 'examples/terraform/README.md', begins: 'export ARM_', why: 'test/clients/terraform.test.ts sets them' },
  {
    page: 'examples/terraform/README.md',
    begins: 'cd examples/terraform',
    why: 'fetches a provider from a registry; test/clients/terraform*.test.ts run it with one that is here',
  },
  {
    page: 'examples/terraform/README.md',
    begins: 'terraform ',
    why: 'test/clients/terraform.test.ts applies, changes and destroys',
  },
  {
    page: 'examples/terraform/README.md',
    begins: 'az keyvault key create',
    why: 'in the vault that terraform has made',
  },
]

/** Commands that succeed with another status than 0. */
export const STATUS: readonly { readonly begins: string; readonly status: number; readonly why: string }[] = [
  { begins: './ownkey doctor', status: 1, why: 'it found something that this machine lacks' },
]

/** What a command must print. */
export const PRINTS: readonly { readonly page: string; readonly begins: string; readonly prints: RegExp }[] = [
  { page: 'docs/clients.md', begins: './ownkey run', prints: /\/keys\/at-rest\/[0-9a-f]{32}\n.*Paris/ },
  { page: 'docs/clients.md', begins: 'node --import', prints: /\/keys\/at-rest\/[0-9a-f]{32}\n.*Paris/ },
  { page: 'docs/clients.md', begins: 'PYTHONPATH', prints: /\/keys\/at-rest\/[0-9a-f]{32}\n.*Paris/ },
  {
    page: 'docs/clients.md',
    begins: 'curl -fsS "$OWNKEY_RESOURCE_MANAGER/subscriptions?',
    prints: /"displayName":"OwnKey"/,
  },
  {
    page: 'docs/clients.md',
    begins: 'curl -fsS "https://contoso.openai.localhost:8443/openai/models',
    prints: /gpt-4o-mini/,
  },
  {
    page: 'docs/clients.md',
    begins: 'curl -fsS "https://contoso.openai.localhost:8443/openai/deployments',
    prints: /"finish_reason":"stop"/,
  },
  { page: 'docs/clients.md', begins: 'az keyvault key list', prints: /at-rest/ },
  { page: 'docs/audit.md', begins: './ownkey audit verify', prints: /--known/ },
  { page: 'examples/decoder/README.md', begins: 'python3', prints: /^Hello, sealed world!$/m },
]

/** Why a command, or a block by its first line, is not run; undefined where it is. */
export const excuseFor = (block: Block, command: string): Excuse | undefined =>
  EXCUSED.find(({ page, begins }) => page === block.page && command.startsWith(begins))

/** The commands of a block that are not excused. */
export const commandsToRun = (block: Block): string[] =>
  isShell(block) && excuseFor(block, block.text)?.whole !== true
    ? commandsOf(block).filter(command => excuseFor(block, command) === undefined)
    : []
