import { Hono } from 'hono'
import { expect, test } from 'vitest'
import { keyPage } from '../../gateway/rest/openapi/key-page.ts'

const app = new Hono()
app.use(keyPage('/rest/v1'))
app.all('*', (c) => c.text('next'))

const HTML = { accept: 'text/html,application/xhtml+xml,*/*;q=0.8' }

test('a browser without a key is asked for one, by a page that can load and send nowhere else', async () => {
  for (const path of ['/rest/v1', '/rest/v1/']) {
    const answer = await app.request(path, { headers: HTML })
    expect(answer.status).toBe(200)
    expect(answer.headers.get('content-security-policy')).toMatch(
      /^default-src 'none'; style-src 'sha256-[^ ]+'; script-src 'sha256-[^ ]+'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'$/,
    )
    expect(await answer.text()).toContain('type="password"')
  }
})

test.each([
  ['a client of the API', '/rest/v1/', 'GET', {}],
  ['who asks for JSON', '/rest/v1/', 'GET', { accept: 'application/json, text/html' }],
  ['who brings a key', '/rest/v1/', 'GET', { ...HTML, apikey: 'x' }],
  ['who brings a token', '/rest/v1/', 'GET', { ...HTML, authorization: 'x' }],
  ['who brings an empty key', '/rest/v1/', 'GET', { ...HTML, apikey: '' }],
  ['who writes', '/rest/v1/', 'POST', HTML],
  ['who wants a table', '/rest/v1/customers', 'GET', HTML],
  ['who wants something else', '/rest/v11', 'GET', HTML],
])('%s is left to what comes next', async (_who, path, method, headers) => {
  expect(await (await app.request(path, { method, headers })).text()).toBe('next')
})
