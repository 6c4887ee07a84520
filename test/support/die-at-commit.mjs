// Preloaded into the service by tests alone: kills it right after the n-th commit since the control file was written.
import { existsSync, readFileSync } from 'node:fs'
import { StatementSync } from 'node:sqlite'

const control = process.env['OWNKEY_TEST_DIE_AT'] ?? ''
const run = StatementSync.prototype.run
let commits = 0

StatementSync.prototype.run = function (...values) {
  const result = run.apply(this, values)
  if (this.sourceSQL === 'COMMIT' && existsSync(control)) {
    commits += 1
    if (commits >= Number(readFileSync(control, 'utf8'))) process.kill(process.pid, 'SIGKILL')
  }
  return result
}
