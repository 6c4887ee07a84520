/**
 * Preloaded into a service: its wall clock, and that of nothing else, is off by the milliseconds in the file OWNKEY_TEST_CLOCK. They are
 * read again and again, as if somebody set the machine's clock while it runs.
 */
import { readFileSync } from 'node:fs'

const file = process.env['OWNKEY_TEST_CLOCK'] ?? ''
const now = Date.now.bind(Date)
let offset = 0
const read = () => {
  try {
    offset = Number(readFileSync(file, 'utf8')) || 0
  } catch {
    // Between two writes of it: as before.
  }
}
read()
setInterval(read, 200).unref()
Date.now = () => now() + offset
