import { afterAll, beforeAll, expect, test } from 'vitest'
import { ERROR_WORDS } from '../../gateway/edge/error-words.ts'
import { problemOf } from '../../gateway/edge/problem.ts'
import { ERROR_CODES, type ErrorCode, InnkeeperError } from '../../tiers/errors.ts'
import { startGateway, type TestGateway } from './support/gateway.ts'

let gateway: TestGateway
beforeAll(async () => {
  gateway = await startGateway({
    routes: (app) => app.get('/errors/of-the-application', (c) => c.text('its own')),
  })
})
afterAll(() => gateway.close())

const CODES = Object.keys(ERROR_CODES) as ErrorCode[]

test.each(CODES)('the type of %s leads to what it means and what to do, for whoever asks', async (code) => {
  const { type, title, status } = problemOf(new InnkeeperError(code, 'm'), 'r')
  const { meaning, toDo } = ERROR_WORDS[code]
  const answer = await gateway.ask(type)
  expect(answer).toMatchObject({ status: 200, json: { type, code, title, status, meaning, to_do: toDo } })
  expect(answer.headers['cache-control']).toBe('public, max-age=3600')
  expect(answer.headers.vary).toMatch(/accept/)
})

test('a browser gets a page, in which nothing runs and nothing loads', async () => {
  const { status, headers, text } = await gateway.ask('/errors/unauthenticated', { accept: 'text/html,*/*;q=0.8' })
  expect(status).toBe(200)
  expect(headers['content-type']).toContain('text/html')
  expect(headers['content-security-policy']).toMatch(/^default-src 'none'; style-src 'sha256-[^ ]+'; base-uri 'none'/)
  expect(text).toContain('<h1>Not authenticated</h1>')
  expect(text).toContain('<code>innkeeper keys list TENANT</code>')
})

test('the address of a tenant leads there too, and HEAD has the head alone', async () => {
  expect(await gateway.ask('/t/acme/errors/conflict')).toMatchObject({ status: 200, json: { code: 'conflict' } })
  expect(await gateway.ask('/errors/conflict', {}, { method: 'HEAD' })).toMatchObject({ status: 200, text: '' })
})

test('what is no code is a path like any other: nobody is let in there, and the application may have it', async () => {
  for (const path of ['/errors', '/errors/', '/errors/nothing', '/errors/constructor', '/errors/conflict/x']) {
    expect((await gateway.ask(path)).json, path).toMatchObject({ status: 401, code: 'unauthenticated' })
  }
  expect((await gateway.ask('/errors/conflict', {}, { method: 'POST' })).status).toBe(401)
  const apikey = gateway.world.key(gateway.world.tenant('acme'))
  expect((await gateway.ask('/errors/of-the-application', { apikey })).text).toBe('its own')
})
