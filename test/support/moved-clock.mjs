/**
 * Preloaded into a service: only its wall clock is off by the milliseconds in the file OWNKEY_TEST_CLOCK. The file is read again and
 * again, as if somebody set the machine's clock while it runs.
 */
import { readFileSync } from 'node:fs'

const file = process.env['OWNKEY_TEST_CLOCK'] ?? ''
const now = Date.now.bind(Date)
let offset = 0
const read = () => {
  try {
    offset = Number(readFileSync(file, 'utf8')) || 0
  } catch {
    // Between two writes of the file it stays as before.
  }
}
read()
setInterval(read, 200).unref()
Date.now = () => now() + offset
