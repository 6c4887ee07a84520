import koffi from 'koffi'
import { CKF, CKR, CKR_OK } from './constants.ts'
import { TokenError } from './token-error.ts'

/** Where a function stands in CK_FUNCTION_LIST (pkcs11f.h), and its parameters: L an unsigned long, P a pointer, B a byte. */
const FUNCTIONS = {
  C_Initialize: [0, 'P'],
  C_Finalize: [1, 'P'],
  C_GetSlotList: [4, 'BPP'],
  C_GetTokenInfo: [6, 'LP'],
  C_OpenSession: [12, 'LLPPP'],
  C_CloseSession: [13, 'L'],
  C_Login: [18, 'LLPL'],
  C_CreateObject: [20, 'LPLP'],
  C_DestroyObject: [22, 'LL'],
  C_GetAttributeValue: [24, 'LLPL'],
  C_FindObjectsInit: [26, 'LPL'],
  C_FindObjects: [27, 'LPLP'],
  C_FindObjectsFinal: [28, 'L'],
  C_DecryptInit: [33, 'LPL'],
  C_Decrypt: [34, 'LPLPP'],
  C_SignInit: [42, 'LPL'],
  C_Sign: [43, 'LPLPP'],
  C_GenerateKeyPair: [59, 'LPPLPLPP'],
} as const

const TYPES: Readonly<Record<string, string>> = { L: 'unsigned long', P: 'void *', B: 'uint8_t' }
const POINTER_BYTES = 8

export type CryptokiFunction = keyof typeof FUNCTIONS
/** A native address, a number, or 0n for NULL. */
type Argument = bigint | number
type Native = ((...args: Argument[]) => number) & {
  async(...args: [...Argument[], (error: Error | null, code: number) => void]): void
}

/** A PKCS #11 module in this process: every call runs in a thread of libuv's pool, never on the event loop. */
export interface Cryptoki {
  /** @throws TokenError for every answer but CKR_OK */
  call(name: CryptokiFunction, ...args: Argument[]): Promise<void>
  close(): Promise<void>
}

/** Loads the module and initialises it for several threads. @throws Error that says what is wrong with the path */
export async function loadCryptoki(path: string): Promise<Cryptoki> {
  const functions = functionsOf(path)
  const call: Cryptoki['call'] = async (name, ...args) => {
    const code = await new Promise<number>((resolve, reject) => {
      functions[name].async(...args, (error, answer) => (error ? reject(error) : resolve(answer)))
    })
    if (code !== CKR_OK) throw new TokenError(name, code)
  }
  // CK_C_INITIALIZE_ARGS: four mutex functions, which the system's replace, flags, reserved.
  const args = koffi.alloc('uint8_t', 6 * POINTER_BYTES) as bigint
  koffi.encode(args, 'uint64_t', [0, 0, 0, 0, CKF.OS_LOCKING_OK, 0], 6)
  let isOurs = true
  try {
    await call('C_Initialize', args)
  } catch (error) {
    isOurs = !isReason(error, 'CRYPTOKI_ALREADY_INITIALIZED')
    if (isOurs) throw new Error(`The PKCS #11 module ${path} does not start: ${String(error)}.`, { cause: error })
  } finally {
    koffi.free(args)
  }
  return {
    call,
    close: async () => {
      if (isOurs) await call('C_Finalize', 0n).catch(() => undefined)
    },
  }
}

function functionsOf(path: string): Readonly<Record<CryptokiFunction, Native>> {
  const list: [bigint | null] = [null]
  try {
    const library = koffi.load(path)
    libraries.push(library)
    const code = (library.func('unsigned long C_GetFunctionList(_Out_ void **list)') as Native)(
      list as unknown as bigint,
    )
    if (code !== CKR_OK) throw new TokenError('C_GetFunctionList', code)
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    throw new Error(`${path} is not a PKCS #11 module that this machine can load: ${reason}`, { cause: error })
  }
  const [start] = list
  const version = koffi.decode(start, 'uint8_t', 2) as ArrayLike<number>
  if (start === null || version[0] !== 2) {
    throw new Error(`${path} speaks PKCS #11 ${version[0]}.${version[1]}; version 2 is what is understood here.`)
  }
  const entries = Object.entries(FUNCTIONS).map(([name, [index, parameters]]) => {
    const types = Array.from(parameters, letter => TYPES[letter] ?? '')
    // Before the functions stands their version, two bytes and padding.
    const address: unknown = koffi.decode(start, POINTER_BYTES * (index + 1), 'void *')
    return [name, koffi.decode(address, koffi.proto(prototypeName(name), 'unsigned long', types))]
  })
  return Object.fromEntries(entries) as Record<CryptokiFunction, Native>
}

/** koffi unloads a library without references, and does not see the functions that are called by address. */
const libraries: unknown[] = []
let loaded = 0
/** koffi's type names are global to the process. */
function prototypeName(name: string): string {
  return `OwnKey${name}${loaded++}`
}

/** True for errors after which a new session may work. */
export function isSessionLost(error: unknown): boolean {
  const lost = ['SESSION_CLOSED', 'SESSION_HANDLE_INVALID', 'USER_NOT_LOGGED_IN', 'DEVICE_REMOVED', 'TOKEN_NOT_PRESENT']
  return error instanceof TokenError && [...lost, 'CRYPTOKI_NOT_INITIALIZED'].includes(error.reason)
}

export function isReason(error: unknown, ...reasons: (keyof typeof CKR)[]): boolean {
  return error instanceof TokenError && reasons.includes(error.reason)
}
