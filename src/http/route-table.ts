import type { HostName, Route } from './route.ts'

/** More segments than any path of these APIs has; keeps the matcher's work bounded. */
const maxSegments = 64
const largestBody = 8 * 1024 ** 3

interface Leaf {
  readonly route: Route
  readonly names: readonly string[]
}

interface Branch {
  readonly literals: Map<string, Branch>
  parameter?: Branch
  rest?: Branch
  readonly leaves: Map<string, Leaf>
}

export type Match =
  | { readonly type: 'found'; readonly route: Route; readonly params: Readonly<Record<string, string>> }
  /** The path exists, with other methods. */
  | { readonly type: 'method'; readonly allow: readonly string[] }
  | { readonly type: 'unknown' }

export interface RouteTable {
  /** `segments`: the path's segments, decoded, in the client's letters. */
  match(host: HostName, method: string, segments: readonly string[]): Match
}

/** @throws Error for a route without limits, with `auth: 'none'` and no reason, or with the path of another */
export function checkRoutes(routes: readonly Route[]): void {
  const seen = new Set<string>()
  for (const route of routes) {
    const name = `${route.method} ${route.host}${route.path}`
    const shape = name.replace(/:[^/*]+/g, ':')
    if (seen.has(shape)) throw new Error(`Two routes answer ${name}.`)
    seen.add(shape)
    if (!/^\/(?:[^A-Z]|:[A-Za-z]+)*$/.test(route.path) || route.path.includes('//')) {
      throw new Error(`The path of ${name} must begin with a slash and have its literals in lower case.`)
    }
    if (!Number.isSafeInteger(route.maxBody) || route.maxBody < 0 || route.maxBody > largestBody) {
      throw new Error(`${name} needs a maxBody between 0 and ${largestBody} bytes.`)
    }
    if (route.auth === 'none' && route.reason.trim().length < 10) {
      throw new Error(`${name} asks nobody who they are: say why in 'reason'.`)
    }
  }
}

/** The routes as one tree for each host. Literals win over `:name`, `:name` over `:name*` (one or more segments). */
export function routeTable(routes: readonly Route[]): RouteTable {
  checkRoutes(routes)
  const roots = new Map<HostName, Branch>()
  for (const route of routes) {
    let branch = roots.get(route.host)
    if (!branch) roots.set(route.host, (branch = newBranch()))
    addRoute(branch, route)
  }
  return {
    match(host, method, segments) {
      const root = roots.get(host)
      const allow = new Set<string>()
      const found = root && segments.length <= maxSegments ? search(root, method, segments, 0, [], allow) : undefined
      if (found) return found
      return allow.size > 0 ? { type: 'method', allow: [...allow].sort() } : { type: 'unknown' }
    },
  }
}

function newBranch(): Branch {
  return { literals: new Map(), leaves: new Map() }
}

function addRoute(root: Branch, route: Route): void {
  let branch = root
  const names: string[] = []
  for (const segment of route.path.split('/').filter(Boolean)) {
    if (!segment.startsWith(':')) {
      let next = branch.literals.get(segment)
      if (!next) branch.literals.set(segment, (next = newBranch()))
      branch = next
    } else if (segment.endsWith('*')) {
      names.push(segment.slice(1, -1))
      branch = branch.rest ??= newBranch()
    } else {
      names.push(segment.slice(1))
      branch = branch.parameter ??= newBranch()
    }
  }
  branch.leaves.set(route.method, { route, names })
}

function search(
  branch: Branch,
  method: string,
  segments: readonly string[],
  at: number,
  values: readonly string[],
  allow: Set<string>,
): Match | undefined {
  const segment = segments[at]
  if (segment === undefined) {
    const leaf = branch.leaves.get(method)
    if (!leaf) for (const other of branch.leaves.keys()) allow.add(other)
    return leaf && { type: 'found', route: leaf.route, params: parameters(leaf.names, values) }
  }
  const literal = branch.literals.get(segment.toLowerCase())
  const direct =
    (literal && search(literal, method, segments, at + 1, values, allow)) ??
    (branch.parameter && search(branch.parameter, method, segments, at + 1, [...values, segment], allow))
  if (direct || !branch.rest) return direct
  for (let end = segments.length; end > at; end--) {
    const rest = segments.slice(at, end).join('/')
    const found = search(branch.rest, method, segments, end, [...values, rest], allow)
    if (found) return found
  }
  return undefined
}

function parameters(names: readonly string[], values: readonly string[]): Record<string, string> {
  return Object.fromEntries(names.map((name, index) => [name, values[index] ?? '']))
}
