import assert from 'node:assert/strict'

/** A page, with its form as a browser would send it. */
export interface Page {
  readonly url: string
  readonly status: number
  readonly headers: Headers
  readonly html: string
}

/** A minimal browser for signing in: it keeps cookies, sends forms, and follows redirects on the login host only. */
export class Browser {
  readonly #origin: string
  readonly cookies = new Map<string, string>()

  constructor(authority: string) {
    this.#origin = new URL(authority).origin
  }

  /** Follows redirects of the login host. A redirect that leaves it is returned as it is. */
  async go(
    url: string,
    init: { method?: string; body?: URLSearchParams; headers?: Record<string, string> } = {},
  ): Promise<Page> {
    const cookie = [...this.cookies].map(([name, value]) => `${name}=${value}`).join('; ')
    const response = await fetch(url, { ...init, redirect: 'manual', headers: { ...init.headers, cookie } })
    for (const set of response.headers.getSetCookie()) {
      assert.match(set, /; Path=\/; Secure; HttpOnly; SameSite=Lax$/)
      assert.match(set, /^__Host-/)
      const [name = '', value = ''] = (set.split(';')[0] ?? '').split('=')
      if (/Max-Age=0/.test(set)) this.cookies.delete(name)
      else this.cookies.set(name, value)
    }
    const location = response.headers.get('location')
    if (location !== null && new URL(location, url).origin === this.#origin) return this.go(new URL(location, url).href)
    return { url, status: response.status, headers: response.headers, html: await response.text() }
  }

  /** Sends the page's form with these fields filled in, to this host. */
  async submit(page: Page, fields: Record<string, string>): Promise<Page> {
    const { action, values } = formOf(page)
    const url = new URL(action, page.url)
    assert.equal(url.origin, this.#origin)
    const body = new URLSearchParams({ ...values, ...fields })
    return this.go(url.href, { method: 'POST', body, headers: { origin: this.#origin } })
  }

  async signIn(page: Page, name: string, password: string): Promise<Page> {
    return this.submit(page, { name, password, action: 'password' })
  }
}

/** The form of a page: where it goes, and what it holds already. */
export function formOf({ html }: Page): { action: string; values: Record<string, string> } {
  const action = /<form[^>]* action="([^"]*)"/.exec(html)?.[1]
  assert.ok(action !== undefined, `There is no form:\n${html}`)
  const hidden = html.matchAll(/<input type="hidden" name="([^"]*)" value="([^"]*)"/g)
  return {
    action: plain(action),
    values: Object.fromEntries([...hidden].map(([, name = '', value = '']) => [name, plain(value)])),
  }
}

export function alertOf({ html }: Page): string | undefined {
  const text = /role="alert">([^<]*)/.exec(html)?.[1]
  return text === undefined ? undefined : plain(text)
}

function plain(html: string): string {
  const letters: Record<string, string> = { amp: '&', lt: '<', gt: '>', quot: '"', '#39': "'" }
  return html.replaceAll(/&(amp|lt|gt|quot|#39);/g, (_, name: string) => letters[name] ?? '')
}
