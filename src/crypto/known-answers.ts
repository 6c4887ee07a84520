import { createCipheriv, createDecipheriv, createHash, createHmac, hkdfSync, pbkdf2Sync } from 'node:crypto'

const hex = (text: string): Buffer => Buffer.from(text, 'hex')

/** The algorithms that data at rest depends on, each with an answer that was published or made by another implementation. */
const ANSWERS: Readonly<Record<string, { readonly is: () => Uint8Array; readonly expected: string }>> = {
  'SHA-256 (FIPS 180-4, "abc")': {
    is: () => createHash('sha256').update('abc').digest(),
    expected: 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad',
  },
  'HMAC-SHA-256 (RFC 4231, case 1)': {
    is: () => createHmac('sha256', Buffer.alloc(20, 0x0b)).update('Hi There').digest(),
    expected: 'b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7',
  },
  'HKDF-SHA-256 (RFC 5869, case 1)': {
    is: () =>
      new Uint8Array(
        hkdfSync('sha256', Buffer.alloc(22, 0x0b), hex('000102030405060708090a0b0c'), hex('f0f1f2f3f4f5f6f7f8f9'), 42),
      ),
    expected: '3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865',
  },
  'AES-256-GCM (GCM specification, case 14)': {
    is: sealZeros,
    expected: 'cea7403d4d606b6e074ec5d3baf39d18d0d1c8a799996bf0265b98b5d48ab919',
  },
  'AES-256-GCM refuses another tag': { is: openAltered, expected: '' },
  'AES-256-KW (RFC 3394, 4.6)': {
    is: () => {
      const kek = hex('000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f')
      const cipher = createCipheriv('id-aes256-wrap', kek, Buffer.alloc(8, 0xa6))
      return cipher.update(hex('00112233445566778899aabbccddeeff000102030405060708090a0b0c0d0e0f'))
    },
    expected: '28c9f404c4b810f4cbccb35cfb87f8263f5786e2d80ed326cbc7f0e71a99f43bfb988b9b7a02dd21',
  },
  'PBKDF2-HMAC-SHA-256': {
    is: () => pbkdf2Sync('passwordPASSWORDpassword', 'saltSALTsaltSALTsaltSALTsaltSALTsalt', 4096, 40, 'sha256'),
    expected: '348c89dbcbd32b2f32d814b8116e84cf2b17347ebc1800181c4e2a1fb8dd53e1c635518c7dac47e9',
  },
}

function sealZeros(): Buffer {
  const cipher = createCipheriv('aes-256-gcm', Buffer.alloc(32), Buffer.alloc(12))
  return Buffer.concat([cipher.update(Buffer.alloc(16)), cipher.final(), cipher.getAuthTag()])
}

function openAltered(): Buffer {
  const sealed = sealZeros()
  const decipher = createDecipheriv('aes-256-gcm', Buffer.alloc(32), Buffer.alloc(12))
  decipher.setAuthTag(Buffer.from(sealed.subarray(16)).fill(sealed[16]! ^ 1, 0, 1))
  decipher.update(sealed.subarray(0, 16))
  try {
    decipher.final()
  } catch {
    return Buffer.alloc(0)
  }
  return Buffer.from('opened')
}

/** Runs before anything is opened, in a few milliseconds. @throws Error that names the algorithm with a wrong answer */
export function checkKnownAnswers(): void {
  for (const [name, { is, expected }] of Object.entries(ANSWERS)) {
    let answer: string
    try {
      answer = Buffer.from(is()).toString('hex')
    } catch (error) {
      throw new Error(`The self-test of ${name} failed: OpenSSL refuses it. Nothing was opened.`, { cause: error })
    }
    if (answer !== expected)
      throw new Error(`The self-test of ${name} failed: the answer is wrong. Nothing was opened.`)
  }
}
