import { nextTurn, turnIsOver } from '../base/turns.ts'
import { KeyRingTampered } from './key-ring-tampered.ts'
import { KeyUnavailable } from './key-unavailable.ts'

/** Opens the entries of a list; undefined where the key can't be used. */
type Opener = <T>(open: () => Promise<T>) => Promise<T | undefined>

/**
 * For a request that opens many values under one account's key. The first refusal of its vault counts for all of them, so a list
 * costs the vault one question and not one for each entry. Others have their turn while a long list is opened.
 */
export function untilRefused(): Opener {
  let isRefused = false
  return async open => {
    if (isRefused) return undefined
    if (turnIsOver()) await nextTurn()
    try {
      return await open()
    } catch (error) {
      if (!(error instanceof KeyUnavailable || error instanceof KeyRingTampered)) throw error
      isRefused = true
      return undefined
    }
  }
}
