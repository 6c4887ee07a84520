import { randomBytes } from 'node:crypto'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { generateRsa, rsaDecrypt, rsaEncrypt } from '../../src/crypto/rsa.ts'

const ALG = 'RSA-OAEP-256'

/** The least that an HTTPS server in this runtime can do for an unwrap: no permissions, no records, no audit. */
async function serve(tls: { cert: string; key: string }): Promise<void> {
  const key = await generateRsa(2048)
  const wrapped = await rsaEncrypt(ALG, key, randomBytes(64))
  const server = createServer(tls, (incoming, outgoing) => {
    incoming.resume().once('end', () => {
      void rsaDecrypt(ALG, key, wrapped).then(value => {
        const body = JSON.stringify({ value: value.toString('base64url') })
        outgoing.writeHead(200, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) })
        outgoing.end(body)
      })
    })
  })
  server.listen(0, '127.0.0.1', () => process.send?.((server.address() as AddressInfo).port))
}

process.once('message', tls => void serve(tls as { cert: string; key: string }))
