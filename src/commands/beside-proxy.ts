/** Names that a proxy can't reach, since the cloud listens on loopback alone. Both forms, since clients differ in whether a name covers subdomains. */
const OWN = ['localhost', '.localhost', '127.0.0.1', '::1']
const PROXIES = ['HTTPS_PROXY', 'https_proxy', 'HTTP_PROXY', 'http_proxy', 'ALL_PROXY', 'all_proxy']

/** Where the environment names a proxy, the variables with which clients reach the cloud without it. Other hosts stay as before. */
export function besideProxy(environment: NodeJS.ProcessEnv = process.env): Record<string, string> {
  if (!PROXIES.some(name => environment[name])) return {}
  const told = [environment['NO_PROXY'], environment['no_proxy']].flatMap(list => (list ?? '').split(/[,\s]+/))
  const names = [...new Set([...told.filter(name => name !== ''), ...OWN])].join(',')
  return { NO_PROXY: names, no_proxy: names }
}
