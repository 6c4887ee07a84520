const MOST = 2048
/** Query parameters that say which operation it was. Others may hold secrets, or text that somebody wrote. */
const SHOWN = new Set([
  'api-version',
  'purpose',
  'order',
  'limit',
  'after',
  'maxresults',
  '$top',
  '$select',
  '$expand',
  'resource',
])
/** The form of parameter names. A key that was sent without a name has digits, so it does not fit. */
const NAME = /^[$a-z][a-z_-]{0,39}$/i

/** A request's address for its record: only query values that can't be secrets are kept, as in the logs of Azure's SDKs. */
export function requestUri(href: string): string {
  const at = href.indexOf('?')
  if (at < 0) return href.slice(0, MOST)
  const shown = href
    .slice(at + 1)
    .split('&', 100)
    .map(part => {
      const [name = '', ...value] = part.split('=')
      const plain = name.replaceAll(/%24/g, '$').toLowerCase()
      if (SHOWN.has(plain) && value.length === 1) return part
      return `${NAME.test(plain) ? `${name}=` : ''}REDACTED`
    })
  return `${href.slice(0, at)}?${shown.join('&')}`.slice(0, MOST)
}
