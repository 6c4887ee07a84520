/** Preloaded into a service: on SIGUSR2 it is an hour later by the wall clock alone, as after a night with the lid closed. */
const now = Date.now.bind(Date)
let slept = 0
Date.now = () => now() + slept
process.on('SIGUSR2', () => {
  slept += 3_600_000
})
