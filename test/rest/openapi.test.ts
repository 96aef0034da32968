import { createHash } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { openApiDocument } from '../../gateway/rest/openapi/document.ts'
import { splitUrl } from '../../gateway/rest/url.ts'
import { type Desk, openDesk } from './desk.ts'

let desk: Desk
beforeAll(async () => {
  desk = await openDesk()
})
afterAll(() => desk?.close())

type Document = Record<string, Record<string, Record<string, unknown>>>
const BROWSER = { headers: { accept: 'text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8' } }

describe('the OpenAPI document', () => {
  it.each(['', '/'])('stands at the root, with "%s" at its end', async (suffix) => {
    const response = await desk.fetch(suffix)
    expect([response.status, response.headers.get('content-type')]).toEqual([
      200,
      'application/openapi+json; charset=utf-8',
    ])
    expect((await desk.fetch(suffix, { method: 'HEAD' })).status).toBe(200)
    expect(await response.json()).toMatchObject({ openapi: '3.1.0', servers: [{ url: '/rest/v1' }] })
  })

  it('describes every table that can be read, with its columns, and nothing else', async () => {
    const document = (await (await desk.fetch('/')).json()) as Document
    expect(Object.keys(document.paths!).sort()).toEqual(
      [
        'agents',
        'comments',
        'customers',
        'open_tickets',
        'profiles',
        'tags',
        'ticket_tags',
        'tickets',
        encodeURIComponent('Odd "names"'),
      ]
        .map((name) => `/${name}`)
        .sort(),
    )
    expect(document.components!.schemas!.tickets).toMatchObject({
      required: ['title', 'customer_id'],
      properties: {
        id: { type: 'integer', format: 'int64', description: 'Primary key.' },
        title: { type: 'string', 'x-postgres-type': 'character varying(60)' },
        status: { type: 'string', enum: ['open', 'waiting', 'closed'] },
        labels: { type: 'array', items: { type: ['string', 'null'] } },
        amount: { type: ['number', 'null'] },
        shout: { readOnly: true },
        customer_id: { description: 'Refers to customers.id.' },
      },
    })
  })

  it('names the methods that are allowed', async () => {
    const { paths } = (await (await desk.fetch('/')).json()) as Document
    expect(Object.keys(paths!['/tickets']!)).toEqual(['get', 'post', 'patch', 'delete'])
    expect(Object.keys(paths!['/open_tickets']!)).toEqual(['get'])
  })

  it('shows neither tenant_id nor the name of the room', async () => {
    for (const init of [{}, BROWSER])
      expect(await (await desk.fetch('/', init)).text()).not.toMatch(/tenant_id|room_b7/)
  })

  it('a table called error is described like any other', () => {
    const { tables } = desk.catalogue
    const error = { ...tables.get('tags')!, name: 'error' }
    const catalogue = { ...desk.catalogue, tables: new Map([...tables, ['error', error]]) }
    const { components } = openApiDocument(catalogue) as Document
    expect(components!.schemas!.error).toEqual(components!.schemas!.tags)
  })

  it('every reference in it leads somewhere', async () => {
    const document = await (await desk.fetch('/')).json()
    const references = [...JSON.stringify(document).matchAll(/"\$ref":"#([^"]+)"/g)].map(([, path]) => path!)
    expect(references.length).toBeGreaterThan(50)
    for (const path of references) {
      const keys = path.split('/').slice(1).map(decodeURIComponent)
      const found = keys.reduce<unknown>(
        (value, key) => (value as Record<string, unknown> | undefined)?.[key],
        document,
      )
      expect(found, path).toBeDefined()
    }
  })

  it('nothing lies deeper than a table', async () => {
    const response = await desk.fetch('/tickets/1')
    expect([response.status, await response.json()]).toMatchObject([404, { code: 'PGRST125' }])
  })
})

describe('the page for browsers', () => {
  it('lists tables and columns, and comments as text', async () => {
    const response = await desk.fetch('/', BROWSER)
    const page = await response.text()
    expect([response.status, response.headers.get('content-type')]).toEqual([200, 'text/html; charset=UTF-8'])
    expect(page).toContain('<code>customer_id</code>')
    expect(page).toContain('People who &lt;ask&gt; for help')
    expect(page).toContain('Odd &quot;names&quot;')
    expect(page).not.toContain('<ask>')
  })

  it('loads nothing, and its policy allows its own style alone', async () => {
    const response = await desk.fetch('/', BROWSER)
    const page = await response.text()
    const style = /<style>([\s\S]*?)<\/style>/.exec(page)![1]!
    const policy = response.headers.get('content-security-policy')!
    expect(policy).toContain(`style-src 'sha256-${createHash('sha256').update(style).digest('base64')}'`)
    expect(policy).toContain("default-src 'none'")
    expect(page).not.toMatch(/<script|<link|<img|\sstyle=|\son\w+=/)
  })
})

describe('the path of an answer', () => {
  it.each([
    ['http://host:1/t/acme/rest/v1/tags?a=/b?c', '/t/acme/rest/v1/tags', 'a=/b?c'],
    ['http://host/rest/v1/', '/rest/v1/', ''],
    ['https://host/rest/v1/%D9%85?', '/rest/v1/%D9%85', ''],
  ])('is that of the request, as it came: %s', (url, path, query) => {
    expect(splitUrl(url)).toEqual({ path, query })
  })
})
