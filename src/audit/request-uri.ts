const MOST = 2048
/** What of a query says which operation it was. All else may be a secret, or what someone wrote. */
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
/** As names of parameters are written; a key that was sent without one has digits. */
const NAME = /^[$a-z][a-z_-]{0,39}$/i

/** The address of a request for a record: values of a query stand there only where they can't be secrets, as in the logs of Azure's SDKs. */
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
