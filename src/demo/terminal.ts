import { COLUMNS, fitted, hasColour } from '../base/terminal.ts'

const colour = hasColour()
const INDENT = '   '
const paint = (code: number, text: string): string => (colour ? `\u001b[${code}m${text}\u001b[0m` : text)

export const bold = (text: string): string => paint(1, text)
const dim = (text: string): string => paint(2, text)
const green = (text: string): string => paint(32, text)
const red = (text: string): string => paint(31, text)

export function heading(number: number, text: string): void {
  process.stdout.write(`\n${bold(`${number}. ${text}`)}\n`)
}

export function say(text: string): void {
  process.stdout.write(`${fitted(`${INDENT}${text}`)}\n`)
}

/** Dimmed, for details such as a service's response. */
export function quote(text: string): void {
  process.stdout.write(`${dim(fitted(`${INDENT}${text}`))}\n`)
}

/** A claim, and whether it was proven. */
export interface Proof {
  readonly claim: string
  readonly holds: boolean
  readonly evidence: string
}

export function showProof({ claim, holds, evidence }: Proof): void {
  const fits = INDENT.length + 2 + claim.length + 2 + evidence.length <= COLUMNS
  const after = evidence === '' ? '' : dim(fits ? `  ${evidence}` : fitted(`\n${INDENT}  ${evidence}`))
  process.stdout.write(`${INDENT}${holds ? green('✓') : red('✗')} ${claim}${after}\n`)
}

/** A progress bar that is redrawn on a terminal; nothing elsewhere. */
export class ProgressBar {
  show(done: number, total: number, note: string): void {
    const share = total === 0 ? 0 : Math.min(1, done / total)
    const filled = Math.round(share * 30)
    const line = `   ${'█'.repeat(filled)}${'░'.repeat(30 - filled)} ${String(Math.round(share * 100)).padStart(3)} %  ${note}`
    if (process.stdout.isTTY) process.stdout.write(`\r\u001b[K${line}`)
  }

  end(): void {
    if (process.stdout.isTTY) process.stdout.write('\n')
  }
}

/** The list of claims; the evidence was printed where each was proven. */
export function summary(proofs: readonly Proof[]): void {
  const line = '─'.repeat(COLUMNS)
  process.stdout.write(`\n${bold('What was proven')}\n${line}\n`)
  for (const { claim, holds } of proofs) {
    process.stdout.write(`${holds ? green('yes') : red('NO ')}  ${claim}\n`)
  }
  process.stdout.write(`${line}\n`)
}
