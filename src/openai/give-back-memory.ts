/** Bytes of the C library's heaps that nothing uses go back to the system. */
let trim: ((pad: number) => number) | undefined
let isLooked = false

/**
 * Collects garbage and gives what is free back to the system, after work that needed much: a process that idles does neither by itself.
 * Takes some ten milliseconds. Where Node was started without `--expose-gc`, or the C library is not glibc, it does what it can.
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
