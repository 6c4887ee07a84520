/**
 * Preloaded into a service: on SIGUSR2 only the wall clock moves ahead, as after a night with the lid closed, by an hour or
 * OWNKEY_TEST_SLEEP_SECONDS.
 */
const SLEEP_MS = Number(process.env['OWNKEY_TEST_SLEEP_SECONDS'] ?? 3600) * 1000
const now = Date.now.bind(Date)
let slept = 0
Date.now = () => now() + slept
process.on('SIGUSR2', () => {
  slept += SLEEP_MS
})
