import { command, dataDir } from '../command.ts'
import { flag, oneOf, text, wholeNumberOr } from '../option.ts'

const anyCloud = text('DIR', 'the folder of the cloud', { completes: 'folder' })
const systemRoot = text('DIR', 'the system store below it, to try it out', { completes: 'folder' })

export const env = command({
  name: 'env',
  summary: 'print what clients of a running cloud need',
  notes: ['It prints the administrator\'s secret. For a shell: eval "$(./ownkey env …)"'],
  examples: ['env --data-dir ./cloud', 'env --data-dir ./cloud --format az'],
  options: {
    'data-dir': dataDir,
    format: oneOf(['shell', 'az', 'json'], 'for a shell, for the az CLI, or JSON'),
    'system-root': systemRoot,
  },
  async run({ 'data-dir': folder, format, 'system-root': root }) {
    const { printEnvironment } = await import('../../commands/print-environment.ts')
    return printEnvironment({ dataDir: folder, format, systemRoot: root })
  },
})

export const trust = command({
  name: 'trust',
  summary: 'let this machine trust the CA of a cloud, or no longer',
  notes: ["It goes into the system's store (as root) and into your browsers'."],
  examples: ['trust --data-dir ./cloud', 'trust --data-dir ./cloud --remove', 'trust'],
  options: {
    'data-dir': { ...anyCloud, about: 'its folder; without: list all that are trusted' },
    remove: flag('take it out; without --data-dir: all of them'),
    'system-root': systemRoot,
  },
  async run({ 'data-dir': folder, remove, 'system-root': root }) {
    return (await import('../../commands/trust.ts')).trust({ dataDir: folder, remove, systemRoot: root })
  },
})

export const doctor = command({
  name: 'doctor',
  summary: 'say what this machine lacks, and what to do',
  notes: ['Exit code 1: something is lacking.'],
  examples: ['doctor', 'doctor --data-dir ./cloud'],
  options: {
    'data-dir': { ...anyCloud, about: 'its folder: look too at who trusts its CA' },
    port: wholeNumberOr(8443, 'N', 'is it free', { most: 65_535 }),
    'system-root': systemRoot,
  },
  async run({ 'data-dir': folder, port, 'system-root': root }) {
    return (await import('../../commands/doctor.ts')).doctor({ port, dataDir: folder, systemRoot: root })
  },
})
