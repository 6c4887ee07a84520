/**
 * Preloaded into a service: on SIGUSR2 it is an hour later by the wall clock alone, as after a night with the lid closed, or so
 * many seconds as OWNKEY_TEST_SLEEP_SECONDS says.
 */
const SLEEP_MS = Number(process.env['OWNKEY_TEST_SLEEP_SECONDS'] ?? 3600) * 1000
const now = Date.now.bind(Date)
let slept = 0
Date.now = () => now() + slept
process.on('SIGUSR2', () => {
  slept += SLEEP_MS
})
