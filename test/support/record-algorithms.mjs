// Preloaded into a process: writes each algorithm that node:crypto is asked for into the file OWNKEY_ALGORITHMS, once.
import crypto from 'node:crypto'
import { appendFileSync } from 'node:fs'
import { syncBuiltinESMExports } from 'node:module'

const file = process.env['OWNKEY_ALGORITHMS']
const seen = new Set()
/** Where each function takes its algorithm. */
const PLACES = {
  createHash: 0,
  createHmac: 0,
  hash: 0,
  createCipheriv: 0,
  createDecipheriv: 0,
  hkdf: 0,
  hkdfSync: 0,
  pbkdf2: 4,
  pbkdf2Sync: 4,
  sign: 0,
  verify: 0,
  createSign: 0,
  createVerify: 0,
  generateKeyPair: 0,
  generateKeyPairSync: 0,
  scrypt: -1,
  scryptSync: -1,
}

function note(name, algorithm) {
  const line = `${name} ${typeof algorithm === 'object' ? JSON.stringify(algorithm?.name ?? algorithm) : algorithm}`
  if (seen.has(line)) return
  seen.add(line)
  appendFileSync(file, `${line.toLowerCase().replaceAll('"', '')}\n`)
}

if (file !== undefined) {
  for (const [name, place] of Object.entries(PLACES)) {
    const original = crypto[name]
    crypto[name] = function (...args) {
      note(name, place < 0 ? '' : args[place])
      return new.target === undefined ? original.apply(this, args) : new original(...args)
    }
  }
  for (const name of [
    'sign',
    'verify',
    'encrypt',
    'decrypt',
    'digest',
    'generateKey',
    'importKey',
    'deriveBits',
    'wrapKey',
    'unwrapKey',
  ]) {
    const original = crypto.subtle[name]
    Object.getPrototypeOf(crypto.subtle)[name] = function (...args) {
      note(`subtle.${name}`, args[name === 'importKey' || name === 'unwrapKey' ? 2 : 0])
      return original.apply(this, args)
    }
  }
  syncBuiltinESMExports()
}
