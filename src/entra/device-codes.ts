import type { Env } from '../base/env.ts'
import { unlessConflict } from '../store/conflicts.ts'
import { put, remove, VersionConflict, type Change, type RecordStore, type Stored } from '../store/records.ts'
import { loginError } from './aadsts.ts'
import { makesSpace } from './expired-records.ts'
import { deviceCodes, deviceUserCodes, type Approval, type Device, type WaitingDevice } from './records.ts'
import { digest } from './sessions.ts'

const LIFE_SECONDS = 900
/** Seconds between a client's polls. */
const INTERVAL_SECONDS = 1
const MOST = 1_000
/** Letters that are not mistaken for each other, without vowels: RFC 8628 6.1. */
const LETTERS = 'BCDFGHJKLMNPQRSTVWXZ'
const LETTERS_IN_CODE = 9

/** Device codes (RFC 8628). They are records, so a device and the person who approves it may ask different processes of the store. */
export class DeviceCodes {
  readonly #env: Env
  readonly #records: RecordStore
  readonly #makeSpace: () => Promise<boolean>

  constructor(given: { readonly env: Env; readonly records: RecordStore }) {
    this.#env = given.env
    this.#records = given.records
    // Anybody may begin a sign-in, so a full list must shut nobody out (ADR 0022): a device that nobody has answered goes.
    const isLeast = ({ answer }: WaitingDevice): boolean => answer === undefined
    this.#makeSpace = makesSpace(given, deviceCodes, { most: MOST, isLeast, removal: removalOf })
  }

  /** Without the reserve of a full disk, since the caller has proved nothing yet. @throws 429 while too many devices wait that were approved already */
  async begin(device: Device): Promise<{ deviceCode: string; userCode: string; expiresIn: number; interval: number }> {
    if (!(await this.#makeSpace())) {
      const message = 'Too many devices wait for a sign-in: try again later.'
      throw loginError('temporarily_unavailable', 50_196, message, { status: 429, retryAfter: 30 })
    }
    const deviceCode = this.#env.randomBytes(32).toString('base64url')
    const id = digest(deviceCode)
    const userCode = this.#newUserCode()
    const expiresAt = this.#env.now() + LIFE_SECONDS * 1000
    const waiting: WaitingDevice = { device, userCode, expiresAt }
    await this.#records.commit([put(deviceCodes, id, waiting, 0), put(deviceUserCodes, userCode, { id }, 0)])
    return { deviceCode, userCode, expiresIn: LIFE_SECONDS, interval: INTERVAL_SECONDS }
  }

  /** The device that shows this code and has no answer yet. Spaces, dashes and small letters do not matter. */
  async find(userCode: string): Promise<(Device & { readonly userCode: string }) | undefined> {
    const found = await this.#find(userCode)
    return found === undefined ? undefined : { ...found.value.device, userCode: found.value.userCode }
  }

  /** Answers the device. False when nobody waits for it any more. */
  async answer(userCode: string, answer: Approval | 'declined'): Promise<boolean> {
    const found = await this.#find(userCode)
    if (found === undefined) return false
    const answered = put(deviceCodes, found.id, { ...found.value, answer }, found.version)
    try {
      await this.#records.commit([answered], { reserve: 'small' })
      return true
    } catch (error) {
      if (error instanceof VersionConflict) return false
      throw error
    }
  }

  /** Returns the approval, once. @throws authorization_pending, authorization_declined, expired_token, bad_verification_code */
  async redeem(deviceCode: string, clientId: string): Promise<Approval & { readonly scope: string }> {
    const found = await this.#records.get(deviceCodes, digest(deviceCode.slice(0, 128)))
    if (found?.value.device.clientId !== clientId) throw unknownCode()
    const { answer, device, expiresAt } = found.value
    if (expiresAt <= this.#env.now()) {
      await this.#records.commit(removalOf(found)).catch(unlessConflict)
      throw loginError('expired_token', 70_020, 'The device code has expired: ask for a new one.')
    }
    if (answer === undefined) {
      const message = 'OAuth 2.0 device flow error. Authorization is pending. Continue polling.'
      throw loginError('authorization_pending', 70_016, message)
    }
    await this.#records.commit(removalOf(found)).catch((error: unknown) => {
      // Another poll was faster.
      throw error instanceof VersionConflict ? unknownCode() : error
    })
    if (answer === 'declined')
      throw loginError('authorization_declined', 70_018, 'The person declined to sign this device in.')
    return { ...answer, scope: device.scope }
  }

  async #find(userCode: string): Promise<Stored<WaitingDevice> | undefined> {
    const plain = userCode.toUpperCase().replace(/[\s-]/g, '')
    // Only a code of the right form can be an id.
    if (plain.length !== LETTERS_IN_CODE || !/^[A-Z]+$/.test(plain)) return undefined
    const known = await this.#records.get(deviceUserCodes, plain)
    const found = known && (await this.#records.get(deviceCodes, known.value.id))
    const isWaiting = found && found.value.answer === undefined && found.value.expiresAt > this.#env.now()
    return isWaiting ? found : undefined
  }

  /** Nine of twenty letters, without bias: 38 bits, of which a guesser can try few. */
  #newUserCode(): string {
    let code = ''
    while (code.length < LETTERS_IN_CODE) {
      for (const byte of this.#env.randomBytes(16)) {
        if (byte < 240 && code.length < LETTERS_IN_CODE) code += LETTERS[byte % LETTERS.length]
      }
    }
    return code
  }
}

function removalOf({ id, version, value }: Stored<WaitingDevice>): Change[] {
  return [remove(deviceCodes, id, version), remove(deviceUserCodes, value.userCode)]
}

function unknownCode(): Error {
  return loginError('bad_verification_code', 70_019, 'The device code is not known, or was used before.')
}
