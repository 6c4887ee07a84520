/** Draws what a terminal showed: ANSI text on stdin, SVG on stdout. `script -qec './ownkey demo' /dev/null | node scripts/draw-terminal.ts > docs/demo.svg` */
const COLUMNS = 80
const [CHARACTER, LINE, MARGIN] = [7.4, 17, 18]
const CLASSES: Readonly<Record<string, string>> = { '1': 'b', '2': 'd', '31': 'r', '32': 'g' }

interface Piece {
  readonly text: string
  readonly style: string
}

/** The last text of a line that was redrawn. */
function lastDrawn(line: string): string {
  return line.split('\r').findLast(part => part !== '') ?? ''
}

/** Cuts a line into pieces of one style each; other control sequences are dropped. */
function pieces(line: string): Piece[] {
  const found: Piece[] = []
  let style = ''
  // oxlint-disable-next-line no-control-regex
  for (const part of line.split(/(\u001b\[[0-9;?]*[A-Za-z])/)) {
    const codes = part.startsWith('\u001b[') ? part.slice(2, -1) : undefined
    if (codes === undefined) {
      if (part !== '') found.push({ text: part, style })
    } else if (part.endsWith('m')) style = CLASSES[codes] ?? ''
  }
  return found
}

/** Breaks a line where the terminal's edge would break it. */
function wrapped(line: readonly Piece[]): Piece[][] {
  const rows: Piece[][] = [[]]
  let used = 0
  for (const { text, style } of line) {
    for (let rest = Array.from(text); rest.length > 0;) {
      if (used === COLUMNS) {
        rows.push([])
        used = 0
      }
      const taken = rest.slice(0, COLUMNS - used)
      rows.at(-1)?.push({ text: taken.join(''), style })
      used += taken.length
      rest = rest.slice(taken.length)
    }
  }
  return rows
}

const escaped = (text: string): string => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')

function draw(ansi: string): string {
  const lines = ansi.replaceAll('\r\n', '\n').trimEnd().split('\n')
  const rows = lines.flatMap(line => wrapped(pieces(lastDrawn(line))))
  const [width, height] = [Math.ceil(COLUMNS * CHARACTER + 2 * MARGIN), rows.length * LINE + 2 * MARGIN]
  const text = rows.map((row, index) => {
    const spans = row.map(({ text: part, style }) =>
      style === '' ? escaped(part) : `<tspan class="${style}">${escaped(part)}</tspan>`,
    )
    return `<text x="${MARGIN}" y="${MARGIN + (index + 0.75) * LINE}">${spans.join('')}</text>`
  })
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img" aria-label="Output of ./ownkey demo">`,
    '<style>text{font:12.300px ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono",monospace;fill:#d6deeb;white-space:pre}.b{font-weight:700;fill:#fff}.d{fill:#8b9bb4}.g{fill:#4ec994}.r{fill:#ff6b6b}</style>',
    '<rect width="100%" height="100%" rx="8" fill="#0b1521"/>',
    ...text,
    '</svg>',
    '',
  ].join('\n')
}

const chunks = await process.stdin.toArray()
process.stdout.write(draw(Buffer.concat(chunks as Buffer[]).toString('utf8')))
