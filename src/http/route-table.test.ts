import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { empty } from './respond.ts'
import type { Route } from './route.ts'
import { checkRoutes, routeTable } from './route-table.ts'

function route(path: string, method: Route['method'] = 'GET', maxBody = 0): Route {
  return { host: 'management', method, path, maxBody, auth: 'management', handler: () => empty(204) }
}

describe('checkRoutes', () => {
  it('refuses two routes for one request, whatever their parameters are called', () => {
    assert.throws(() => checkRoutes([route('/a/:x'), route('/a/:y')]), /Two routes/)
    checkRoutes([route('/a/:x'), route('/a/:x', 'PUT'), route('/a/:x*')])
  })

  it('refuses a route without a limit, or without authentication and a reason for that', () => {
    assert.throws(() => checkRoutes([route('/a', 'PUT', Number.NaN)]), /maxBody/)
    assert.throws(() => checkRoutes([route('/a', 'PUT', Number.POSITIVE_INFINITY)]), /maxBody/)
    assert.throws(() => checkRoutes([{ ...route('/a'), auth: 'none', reason: '' }]), /why/)
  })

  it('refuses paths that could never match', () => {
    for (const path of ['a', '/A/b', '/a//b']) assert.throws(() => checkRoutes([route(path)]), /lower case/)
  })
})

describe('routeTable', () => {
  const table = routeTable([
    route('/keys/:name'),
    route('/keys/restore', 'POST'),
    route('/keys/:name/versions'),
    route('/keys/:name/:version'),
    route('/:rest*', 'PUT'),
    route('/:scope*/providers/:type'),
    route('/'),
  ])
  const found = (method: string, path: string) => {
    const match = table.match('management', method, path.split('/').filter(Boolean))
    return match.type === 'found' ? [match.route.path, match.params] : match
  }

  it('prefers literals over parameters, and parameters over the rest', () => {
    assert.deepEqual(found('GET', '/keys/k/VERSIONS'), ['/keys/:name/versions', { name: 'k' }])
    assert.deepEqual(found('GET', '/keys/k/v'), ['/keys/:name/:version', { name: 'k', version: 'v' }])
    assert.deepEqual(found('PUT', '/keys/k/v'), ['/:rest*', { rest: 'keys/k/v' }])
    assert.deepEqual(found('GET', '/'), ['/', {}])
  })

  it('looks on where a literal leads to another method only', () => {
    assert.deepEqual(found('GET', '/keys/restore'), ['/keys/:name', { name: 'restore' }])
    assert.deepEqual(found('DELETE', '/keys/restore'), { type: 'method', allow: ['GET', 'POST', 'PUT'] })
  })

  it('gives `:name*` as much as it can', () => {
    const path = '/a/providers/x/providers/y'
    assert.deepEqual(found('GET', path), ['/:scope*/providers/:type', { scope: 'a/providers/x', type: 'y' }])
  })

  it('does not search a path that is longer than any of these APIs`', () => {
    assert.deepEqual(found('PUT', '/a'.repeat(65)), { type: 'unknown' })
    assert.deepEqual(table.match('vault', 'GET', ['keys', 'k']), { type: 'unknown' })
  })
})
