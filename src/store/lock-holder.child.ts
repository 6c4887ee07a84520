import { writeSync } from 'node:fs'
import { lockFolder } from './folder-lock.ts'

/** Writes to standard output whether it got the lock of the folder, and holds it until it is killed or its input ends. */
const [folder = ''] = process.argv.slice(2)
try {
  await lockFolder(folder)
  writeSync(1, 'locked\n')
  process.stdin.resume()
} catch (error) {
  writeSync(1, `${String(error)}\n`)
}
