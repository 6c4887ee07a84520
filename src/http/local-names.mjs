// Plain JavaScript: clients load it with --import from their own node_modules, where Node does not strip types.
import dns from 'node:dns'
import { syncBuiltinESMExports } from 'node:module'

const addresses = [
  { address: '127.0.0.1', family: 4 },
  { address: '::1', family: 6 },
]

/** Makes `domain` and all names below it loopback in this process (RFC 6761 6.3), where the system's resolver does not. */
export function resolveLocalNames(domain = 'localhost') {
  const isLocal = name => {
    const plain = String(name).toLowerCase().replace(/\.$/, '')
    return plain === domain || plain.endsWith(`.${domain}`)
  }
  const lookup = dns.lookup
  const lookupPromise = dns.promises.lookup
  dns.lookup = function (name, options, callback) {
    const done = typeof options === 'function' ? options : callback
    if (!isLocal(name)) return lookup.call(dns, name, options, callback)
    const answers = answersFor(options)
    if (allOf(options)) process.nextTick(done, null, answers)
    else process.nextTick(done, null, answers[0].address, answers[0].family)
    return {}
  }
  dns.promises.lookup = async function (name, options) {
    if (!isLocal(name)) return lookupPromise.call(dns.promises, name, options)
    const answers = answersFor(options)
    return allOf(options) ? answers : answers[0]
  }
  // `import { lookup } from 'node:dns'` sees the new functions too.
  syncBuiltinESMExports()
}

function answersFor(options) {
  const asked = typeof options === 'number' ? options : options?.family
  const family = asked === 'IPv4' ? 4 : asked === 'IPv6' ? 6 : asked
  return addresses.filter(answer => !family || answer.family === family).map(answer => ({ ...answer }))
}

function allOf(options) {
  return typeof options === 'object' && options !== null && options.all === true
}
