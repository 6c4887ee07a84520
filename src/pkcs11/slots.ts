import { longBytes, withArena } from './arena.ts'
import { CKF } from './constants.ts'
import type { Cryptoki } from './cryptoki.ts'

const LABEL_BYTES = 32
/** CK_TOKEN_INFO: label, manufacturer, model, serial number; then flags, ten more CK_ULONGs, two versions, a time. */
const FLAGS_AT = 96
const TOKEN_INFO_BYTES = 208
const MAX_SLOTS = 256

interface PresentToken {
  readonly slot: number
  readonly label: string
}

/** The slot of the token with that label, or of the only token there is. @throws Error that names the tokens present */
export async function findToken(cryptoki: Cryptoki, label: string | undefined): Promise<PresentToken> {
  const tokens = await presentTokens(cryptoki)
  const names = tokens.map(token => `'${token.label}'`).join(', ')
  const there = tokens.length === 0 ? 'It has no initialised token.' : `Its tokens are ${names}.`
  const matching = label === undefined ? tokens : tokens.filter(token => token.label === label)
  const [token] = matching
  if (token === undefined) {
    const wanted = label === undefined ? 'a token' : `the token '${label}'`
    throw new Error(`The PKCS #11 module has not ${wanted}. ${there}`)
  }
  if (matching.length === 1) return token
  const advice = label === undefined ? 'Choose one with --pkcs11-token LABEL.' : 'Give each a label of its own.'
  throw new Error(`The PKCS #11 module has several tokens that may be meant. ${there} ${advice}`)
}

async function presentTokens(cryptoki: Cryptoki): Promise<PresentToken[]> {
  const tokens: PresentToken[] = []
  for (const slot of await slotsWithToken(cryptoki)) {
    const info = await withArena(async arena => {
      const address = arena.room(TOKEN_INFO_BYTES)
      await cryptoki.call('C_GetTokenInfo', slot, address)
      return arena.read(address, TOKEN_INFO_BYTES)
    })
    if ((info.readUInt32LE(FLAGS_AT) & CKF.TOKEN_INITIALIZED) === 0) continue
    tokens.push({ slot, label: info.subarray(0, LABEL_BYTES).toString('utf8').trimEnd() })
  }
  return tokens
}

function slotsWithToken(cryptoki: Cryptoki): Promise<number[]> {
  return withArena(async arena => {
    const count = arena.long(MAX_SLOTS)
    const list = arena.room(MAX_SLOTS * longBytes)
    await cryptoki.call('C_GetSlotList', 1, list, count)
    const bytes = arena.read(list, arena.readLong(count) * longBytes)
    return Array.from({ length: bytes.length / longBytes }, (_, index) =>
      Number(bytes.readBigUInt64LE(index * longBytes)),
    )
  })
}
