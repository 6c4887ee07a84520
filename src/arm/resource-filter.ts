import { invalidFilter, parseAlternatives, type FilterTerm } from './filter.ts'
import { parseResourceId } from './resource-id.ts'
import type { GenericResource } from './resource-manager.ts'

const EXAMPLE = "resourceType eq 'Microsoft.KeyVault/vaults'"

type Test = (resource: GenericResource) => boolean

/** The filters that az and the SDKs send: comparisons of type, group, name, location and tags, and `substringof`, `startswith`. */
export function resourceFilter(filter: string | undefined): Test {
  const alternatives = parseAlternatives(filter, EXAMPLE).map(terms => [
    ...terms.filter(term => !isTag(term)).map(testOf),
    ...tagTest(terms.filter(isTag)),
  ])
  return resource => alternatives.some(tests => tests.every(passes => passes(resource)))
}

function fieldOf(field: string): ((resource: GenericResource) => string) | undefined {
  if (field === 'resourcetype') return ({ type }) => type
  if (field === 'name') return ({ name }) => name
  if (field === 'resourcegroup') return ({ id }) => parseResourceId(id)?.group ?? ''
  if (field === 'location') return ({ location }) => location
  return undefined
}

function testOf(term: FilterTerm): Test {
  if (term.type === 'compare') {
    const field = fieldOf(term.field)
    if (field === undefined) throw invalidFilter(`there is no field '${term.field}' here`, EXAMPLE)
    const plain = (text: string): string => (term.field === 'location' ? text.replaceAll(' ', '') : text).toLowerCase()
    const wanted = plain(term.value)
    return resource => (plain(field(resource)) === wanted) === (term.operator === 'eq')
  }
  const [first = '', second = ''] = term.arguments
  const contains = term.name === 'substringof'
  const field = fieldOf((contains ? second : first).toLowerCase())
  const part = (contains ? first : second).toLowerCase()
  if (field !== undefined && contains) return resource => field(resource).toLowerCase().includes(part)
  if (field !== undefined && term.name === 'startswith')
    return resource => field(resource).toLowerCase().startsWith(part)
  throw invalidFilter(`'${term.name}' is not possible like this`, EXAMPLE)
}

function isTag(term: FilterTerm): boolean {
  return term.type === 'compare' ? /^tag(name|value)$/.test(term.field) : term.arguments[0]?.toLowerCase() === 'tagname'
}

/** Name and value must hold for one and the same tag. */
function tagTest(terms: readonly FilterTerm[]): Test[] {
  if (terms.length === 0) return []
  return [
    ({ tags = {} }) =>
      Object.entries(tags).some(([name, value]) =>
        terms.every(term => {
          if (term.type === 'call') return name.toLowerCase().startsWith((term.arguments[1] ?? '').toLowerCase())
          const same = term.field === 'tagname' ? name.toLowerCase() === term.value.toLowerCase() : value === term.value
          return same === (term.operator === 'eq')
        }),
      ),
  ]
}
