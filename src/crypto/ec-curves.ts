export type EcCurveName = 'P-256' | 'P-384' | 'P-521' | 'P-256K'

/** y^2 = x^3 + ax + b over the field of p, with base point g of prime order n (NIST SP 800-186; SEC 2 for P-256K). */
export interface EcCurve {
  /** The name that OpenSSL and node:crypto know. */
  openssl: 'prime256v1' | 'secp384r1' | 'secp521r1' | 'secp256k1'
  /** The `crv` that node:crypto writes. */
  crv: string
  /** Bytes of a coordinate. */
  bytes: number
  p: bigint
  a: bigint
  n: bigint
  g: readonly [bigint, bigint]
}

const P256 = 2n ** 256n - 2n ** 224n + 2n ** 192n + 2n ** 96n - 1n
const P384 = 2n ** 384n - 2n ** 128n - 2n ** 96n + 2n ** 32n - 1n
const P521 = 2n ** 521n - 1n

export const CURVES: Readonly<Record<EcCurveName, EcCurve>> = {
  'P-256': {
    openssl: 'prime256v1',
    crv: 'P-256',
    bytes: 32,
    p: P256,
    a: P256 - 3n,
    n: 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n,
    g: [
      0x6b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296n,
      0x4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5n,
    ],
  },
  'P-384': {
    openssl: 'secp384r1',
    crv: 'P-384',
    bytes: 48,
    p: P384,
    a: P384 - 3n,
    n: 0xffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf581a0db248b0a77aecec196accc52973n,
    g: [
      0xaa87ca22be8b05378eb1c71ef320ad746e1d3b628ba79b9859f741e082542a385502f25dbf55296c3a545e3872760ab7n,
      0x3617de4a96262c6f5d9e98bf9292dc29f8f41dbd289a147ce9da3113b5f0b8c00a60b1ce1d7e819d7a431d7c90ea0e5fn,
    ],
  },
  'P-521': {
    openssl: 'secp521r1',
    crv: 'P-521',
    bytes: 66,
    p: P521,
    a: P521 - 3n,
    n: 0x01fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffa51868783bf2f966b7fcc0148f709a5d03bb5c9b8899c47aebb6fb71e91386409n,
    g: [
      0x00c6858e06b70404e9cd9e3ecb662395b4429c648139053fb521f828af606b4d3dbaa14b5e77efe75928fe1dc127a2ffa8de3348b3c1856a429bf97e7e31c2e5bd66n,
      0x011839296a789a3bc0045c8a5fb42c7d1bd998f54449579b446817afbd17273e662c97ee72995ef42640c550b9013fad0761353c7086a272c24088be94769fd16650n,
    ],
  },
  'P-256K': {
    openssl: 'secp256k1',
    crv: 'secp256k1',
    bytes: 32,
    p: 2n ** 256n - 2n ** 32n - 977n,
    a: 0n,
    n: 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141n,
    g: [
      0x79be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798n,
      0x483ada7726a3c4655da4fbfc0e1108a8fd17b448a68554199c47d08ffb10d4b8n,
    ],
  },
}

function mod(value: bigint, modulus: bigint): bigint {
  const rest = value % modulus
  return rest < 0n ? rest + modulus : rest
}

/** The inverse of a value that shares no factor with the modulus (extended Euclid). Not in constant time: blind secrets first. */
export function invert(value: bigint, modulus: bigint): bigint {
  let [low, high] = [mod(value, modulus), modulus]
  let [x, y] = [1n, 0n]
  while (low > 1n) {
    const quotient = high / low
    ;[low, high] = [high - quotient * low, low]
    ;[x, y] = [y - quotient * x, x]
  }
  return mod(x, modulus)
}

/** Jacobian coordinates; z = 0 is the point at infinity. */
type Point = readonly [bigint, bigint, bigint]
const INFINITY: Point = [1n, 1n, 0n]

function double({ p, a }: EcCurve, [x, y, z]: Point): Point {
  if (z === 0n || y === 0n) return INFINITY
  const yy = (y * y) % p
  const s = (4n * x * yy) % p
  const zz = (z * z) % p
  const m = (3n * x * x + a * zz * zz) % p
  const x3 = mod(m * m - 2n * s, p)
  return [x3, mod(m * (s - x3) - 8n * yy * yy, p), (2n * y * z) % p]
}

function add(curve: EcCurve, one: Point, two: Point): Point {
  const { p } = curve
  const [x1, y1, z1] = one
  const [x2, y2, z2] = two
  if (z1 === 0n) return two
  if (z2 === 0n) return one
  const z1z1 = (z1 * z1) % p
  const z2z2 = (z2 * z2) % p
  const u1 = (x1 * z2z2) % p
  const s1 = (y1 * z2 * z2z2) % p
  const h = mod(x2 * z1z1 - u1, p)
  const r = mod(y2 * z1 * z1z1 - s1, p)
  if (h === 0n) return r === 0n ? double(curve, one) : INFINITY
  const hh = (h * h) % p
  const hhh = (h * hh) % p
  const v = (u1 * hh) % p
  const x3 = mod(r * r - hhh - 2n * v, p)
  return [x3, mod(r * (v - x3) - s1 * hhh, p), (h * z1 * z2) % p]
}

/** The x coordinate of u1 * g + u2 * q, undefined at infinity. For public values only, since the time depends on them. */
export function combinedX(curve: EcCurve, u1: bigint, u2: bigint, q: readonly [bigint, bigint]): bigint | undefined {
  const g: Point = [...curve.g, 1n]
  const qq: Point = [...q, 1n]
  const table: readonly Point[] = [INFINITY, g, qq, add(curve, g, qq)]
  let sum = INFINITY
  for (let bit = curve.bytes * 8 - 1; bit >= 0; bit--) {
    sum = double(curve, sum)
    const index = Number((u1 >> BigInt(bit)) & 1n) + 2 * Number((u2 >> BigInt(bit)) & 1n)
    sum = add(curve, sum, table[index]!)
  }
  const [x, , z] = sum
  if (z === 0n) return undefined
  const inverse = invert(z, curve.p)
  return (((x * inverse) % curve.p) * inverse) % curve.p
}
