/** Gives unused memory of the C library's heaps back to the system. */
let trim: ((pad: number) => number) | undefined
let isLooked = false

/**
 * Collects garbage and gives free memory back to the system after work that needed much, since an idle process does neither by itself.
 * Takes some ten milliseconds. Without `--expose-gc`, or with another C library than glibc, it does what it can.
 */
export async function giveBackMemory(): Promise<void> {
  globalThis.gc?.()
  if (!isLooked) trim = await findTrim()
  isLooked = true
  trim?.(0)
}

/** https://man7.org/linux/man-pages/man3/malloc_trim.3.html */
async function findTrim(): Promise<typeof trim> {
  try {
    const { default: koffi } = await import('koffi')
    return koffi.load('libc.so.6').func('int malloc_trim(size_t pad)') as (pad: number) => number
  } catch {
    return undefined
  }
}
