const colour = process.stdout.isTTY && process.env['NO_COLOR'] === undefined
const paint = (code: number, text: string): string => (colour ? `\u001b[${code}m${text}\u001b[0m` : text)

export const bold = (text: string): string => paint(1, text)
export const dim = (text: string): string => paint(2, text)
const green = (text: string): string => paint(32, text)
const red = (text: string): string => paint(31, text)

export function heading(number: number, text: string): void {
  process.stdout.write(`\n${bold(`${number}. ${text}`)}\n`)
}

export function say(text: string): void {
  process.stdout.write(`   ${text}\n`)
}

/** A thing that was to be proven, and whether it was. */
export interface Proof {
  readonly claim: string
  readonly holds: boolean
  readonly evidence: string
}

export function showProof({ claim, holds, evidence }: Proof): void {
  process.stdout.write(`   ${holds ? green('✓') : red('✗')} ${claim}${evidence === '' ? '' : dim(`  ${evidence}`)}\n`)
}

/** A bar that is redrawn in a terminal, and one line for each tenth elsewhere. */
export class ProgressBar {
  #lastTenth = -1

  show(done: number, total: number, note: string): void {
    const share = total === 0 ? 0 : Math.min(1, done / total)
    const filled = Math.round(share * 30)
    const line = `   ${'█'.repeat(filled)}${'░'.repeat(30 - filled)} ${String(Math.round(share * 100)).padStart(3)} %  ${note}`
    if (process.stdout.isTTY) {
      process.stdout.write(`\r\u001b[K${line}`)
      return
    }
    const tenth = Math.floor(share * 10)
    if (tenth === this.#lastTenth) return
    this.#lastTenth = tenth
    process.stdout.write(`${line}\n`)
  }

  end(): void {
    if (process.stdout.isTTY) process.stdout.write('\n')
  }
}

/** What was proven, as a table. */
export function summary(proofs: readonly Proof[]): void {
  const width = Math.max(...proofs.map(({ claim }) => claim.length))
  const line = '─'.repeat(width + 50)
  process.stdout.write(`\n${bold('What was proven')}\n${line}\n`)
  for (const { claim, holds, evidence } of proofs) {
    process.stdout.write(`${holds ? green('yes') : red('NO ')}  ${claim.padEnd(width)}  ${dim(evidence)}\n`)
  }
  process.stdout.write(`${line}\n`)
}
