/** Preloaded into a service: on SIGUSR2 it writes its environment, as its own code sees it then, to OWNKEY_TEST_ENVIRONMENT_FILE. */
import { renameSync, writeFileSync } from 'node:fs'

process.on('SIGUSR2', () => {
  const file = process.env['OWNKEY_TEST_ENVIRONMENT_FILE'] ?? ''
  writeFileSync(`${file}.new`, JSON.stringify(process.env))
  renameSync(`${file}.new`, file)
})
