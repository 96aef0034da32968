import { readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import type { Browser, Page } from 'playwright-core'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { SECRETS, startWorld, supabase, type TestGateway, type World } from '../gateway/support.ts'
import { serveFiles, startBrowser } from './support.ts'

let browser: Browser | null
let world: World
let gateway: TestGateway
let application: Awaited<ReturnType<typeof serveFiles>>
beforeAll(async () => {
  browser = await startBrowser()
  if (browser === null) return
  const tenants = [
    { slug: 'acme', tier: 'free', region: 'us' },
    { slug: 'hooli', tier: 'pro', region: 'us' },
  ] as const
  world = await startWorld({ tenants })
  gateway = await world.gateway()
  for (const { slug } of tenants) {
    await supabase(world, gateway, slug)
      .from('customers')
      .insert([1, 2, 3].map((id) => ({ id, name: `${slug} ${id}`, email: `${id}@example.com` })))
  }
  const main = createRequire(import.meta.url).resolve('@supabase/supabase-js')
  const library = await readFile(join(dirname(main), 'umd', 'supabase.js'), 'utf8')
  application = await serveFiles({
    '/supabase.js': library,
    '/': '<!doctype html><link rel="icon" href="data:,"><title>An application</title><script src="/supabase.js"></script>',
  })
})
afterAll(async () => {
  await browser?.close()
  await application?.close()
  await world?.close()
})
beforeEach((context) => {
  if (browser === null) context.skip()
})

/** A page, and all that it complained of. */
async function openPage(
  options: Parameters<Browser['newPage']>[0] = {},
): Promise<{ page: Page; complaints: string[]; asked: string[] }> {
  const page = await browser!.newPage(options)
  const complaints: string[] = []
  const asked: string[] = []
  page.on('console', (message) => {
    if (message.type() === 'error' || message.type() === 'warning') complaints.push(message.text())
  })
  page.on('pageerror', (error) => complaints.push(String(error)))
  page.on('request', (request) => asked.push(request.url()))
  return { page, complaints, asked }
}

describe('the page that describes the data API', () => {
  // A browser sends no key by itself: this is what an extension, or a proxy in front, adds.
  const withKey = (slug: string) => ({ extraHTTPHeaders: { apikey: world.system.keyOf(slug) } })

  test.each(['acme', 'hooli'])('shows %s its tables, loads nothing else and complains of nothing', async (slug) => {
    const { page, complaints, asked } = await openPage(withKey(slug))
    const url = `${gateway.url}/t/${slug}/rest/v1/`
    const answer = await page.goto(url)
    expect(answer!.status()).toBe(200)
    expect(answer!.headers()['content-type']).toContain('text/html')
    expect(await page.title()).toBe('Data API')
    const headings = await page.locator('main h2').allTextContents()
    for (const table of ['agents', 'comments', 'customers', 'tags', 'ticket_tags', 'tickets'])
      expect(headings).toContain(table)
    expect(await page.locator('#table-customers').textContent()).toContain(`/t/${slug}/rest/v1/customers`)
    expect(await page.content()).not.toMatch(SECRETS)
    expect(complaints).toEqual([])
    expect(asked).toEqual([url])
    // Every link of the contents leads to a part of the page.
    const broken = await page.evaluate(
      `[...document.querySelectorAll('nav a')].filter((a) => !document.querySelector(decodeURIComponent(a.hash))).length`,
    )
    expect(broken).toBe(0)
    await page.close()
  })

  test('is readable by day and by night, on a wide screen and on a narrow one', async () => {
    const { page } = await openPage(withKey('acme'))
    await page.goto(`${gateway.url}/rest/v1/`)
    const seen: string[] = []
    for (const colorScheme of ['light', 'dark'] as const) {
      await page.emulateMedia({ colorScheme })
      for (const width of [1280, 360]) {
        await page.setViewportSize({ width, height: 700 })
        expect([colorScheme, width, await page.evaluate(OVERFLOW)]).toEqual([colorScheme, width, 0])
      }
      for (const selector of ['body', 'h1', 'h2', 'p', 'td', 'th', 'code', 'a']) {
        const contrast = (await page.evaluate(`(${CONTRAST})(${JSON.stringify(selector)})`)) as number
        expect([colorScheme, selector, contrast]).toEqual([colorScheme, selector, expect.toSatisfy((c) => c >= 4.5)])
      }
      seen.push(
        (await page.evaluate(
          'getComputedStyle(document.documentElement).backgroundColor + getComputedStyle(document.body).backgroundColor',
        )) as string,
      )
    }
    expect(seen[0]).not.toBe(seen[1])
    await page.close()
  })

  test('runs no script, wherever it might come from', async () => {
    const { page } = await openPage(withKey('acme'))
    await page.goto(`${gateway.url}/rest/v1/`)
    await page.evaluate(
      `document.body.insertAdjacentHTML('beforeend', '<img src=x onerror="window.ran = true"><iframe src="javascript:parent.ran=true"></iframe>')`,
    )
    await new Promise((r) => setTimeout(r, 200))
    expect(await page.evaluate('window.ran')).toBeUndefined()
    await page.close()
  })

  test('asks a browser for the key, sends it as a header to its own address alone, and shows what it opens', async () => {
    const { page, complaints, asked } = await openPage()
    const url = `${gateway.url}/t/acme/rest/v1/`
    const key = world.system.keyOf('acme')
    expect((await page.goto(url))!.status()).toBe(200)
    expect(await page.content()).not.toContain('customers')
    await page.getByLabel('API key').fill(key)
    const sent = page.waitForRequest(async (r) => (await r.headerValue('apikey')) !== null)
    await page.getByRole('button', { name: 'Show' }).click()
    expect(await (await sent).headerValue('apikey')).toBe(key)
    await page.locator('#table-customers').waitFor()
    await page.getByLabel('Read rows').fill('customers?select=name&limit=1')
    await page.getByRole('button', { name: 'Send' }).click()
    await page.locator('#rows', { hasText: 'acme 1' }).waitFor()
    expect(asked).toEqual([url, url, `${url}customers?select=name&limit=1`])
    await page.getByLabel('Read rows').fill(`${application.url}/elsewhere`)
    await page.getByRole('button', { name: 'Send' }).click()
    await page.locator('#said', { hasText: 'not a table' }).waitFor()
    expect(asked).toHaveLength(3)
    expect(page.url()).toBe(url)
    expect(await page.evaluate('document.cookie + localStorage.length + sessionStorage.length')).toBe('00')
    expect(complaints).toEqual([])
    await page.close()
  })

  test('is the same without a key for every tenant and for none, and fits a narrow screen', async () => {
    const { page } = await openPage({ viewport: { width: 360, height: 700 } })
    const seen: string[] = []
    for (const slug of ['acme', 'hooli', 'nobody']) {
      await page.goto(`${gateway.url}/t/${slug}/rest/v1/`)
      expect(await page.evaluate(OVERFLOW)).toBe(0)
      seen.push(await page.content())
    }
    expect(new Set(seen).size).toBe(1)
    await page.close()
  })

  test('says why a key is refused, and shows nothing then', async () => {
    const { page } = await openPage()
    await page.goto(`${gateway.url}/t/acme/rest/v1/`)
    await page.getByLabel('API key').fill(world.system.keyOf('hooli'))
    await page.getByRole('button', { name: 'Show' }).click()
    await page.locator('#said', { hasText: '403' }).waitFor()
    expect(await page.content()).not.toContain('customers')
    await page.close()
  })

  test('runs no script but its own, and asks nobody else, where it asks for a key', async () => {
    const { page, complaints } = await openPage()
    await page.goto(`${gateway.url}/t/acme/rest/v1/`)
    await page.evaluate(`{
      const script = document.createElement('script')
      script.textContent = 'window.ran = true'
      document.body.append(script)
      document.body.insertAdjacentHTML('beforeend', '<img src=x onerror="window.ran = true">')
      fetch(${JSON.stringify(application.url)}).then(() => { window.ran = true }, () => {})
    }`)
    await expect.poll(() => complaints.filter((c) => c.includes('Content Security Policy')).length).toBeGreaterThan(2)
    expect(await page.evaluate('window.ran')).toBeUndefined()
    await page.close()
  })
})

describe('supabase-js in a browser, from another origin', () => {
  const run = async (page: Page, key: string, work: string) =>
    (await page.evaluate(`(async () => {
      window.clients ??= {}
      const client = window.clients[${JSON.stringify(key)}] ??= supabase.createClient(${JSON.stringify(`${gateway.url}/t/acme`)}, ${JSON.stringify(key)}, { auth: { persistSession: false } })
      return await (${work})(client)
    })()`)) as { data: unknown; error: { code: string; message: string } | null; count: number | null; status: number }

  test('reads, counts and writes', async () => {
    const { page, complaints } = await openPage()
    await page.goto(`${application.url}/`)
    const key = world.system.keyOf('acme')
    const read = await run(
      page,
      key,
      `(c) => c.from('customers').select('name', { count: 'exact' }).order('id').range(0, 1)`,
    )
    expect(read).toMatchObject({ error: null, count: 3, data: [{ name: 'acme 1' }, { name: 'acme 2' }] })
    const written = await run(
      page,
      key,
      `(c) => c.from('tags').insert({ name: 'from a browser' }).select('name').single()`,
    )
    expect(written).toMatchObject({ error: null, status: 201, data: { name: 'from a browser' } })
    const changed = await run(
      page,
      key,
      `(c) => c.from('tags').update({ color: 'red' }).eq('name', 'from a browser').select('color')`,
    )
    expect(changed).toMatchObject({ error: null, data: [{ color: 'red' }] })
    const removed = await run(
      page,
      key,
      `(c) => c.from('tags').delete({ count: 'exact' }).eq('name', 'from a browser')`,
    )
    expect(removed).toMatchObject({ error: null, count: 1 })
    expect(complaints).toEqual([])
    await page.close()
  })

  test('may read why it is refused', async () => {
    const { page } = await openPage()
    await page.goto(`${application.url}/`)
    const refused = await run(page, world.system.keyOf('hooli'), `(c) => c.from('customers').select()`)
    expect(refused).toMatchObject({ status: 403, data: null, error: { code: 'tenant_mismatch' } })
    const wrong = await run(page, world.system.keyOf('acme'), `(c) => c.from('customers').select('nothing')`)
    expect(wrong).toMatchObject({ status: 400, error: { code: '42703' } })
    await page.close()
  })
})

/** How far the page is wider than the screen. */
const OVERFLOW = 'Math.max(0, document.documentElement.scrollWidth - document.documentElement.clientWidth)'

/** The contrast of an element's text against what is behind it, as WCAG 2.2 computes it. */
const CONTRAST = `(selector) => {
  const canvas = document.createElement('canvas').getContext('2d', { willReadFrequently: true })
  const rgba = (color) => {
    canvas.clearRect(0, 0, 1, 1)
    canvas.fillStyle = color
    canvas.fillRect(0, 0, 1, 1)
    return canvas.getImageData(0, 0, 1, 1).data
  }
  const light = (color) => {
    const [r, g, b] = [...rgba(color)].slice(0, 3).map((v) => v / 255).map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4))
    return 0.2126 * r + 0.7152 * g + 0.0722 * b
  }
  let element = document.querySelector('main ' + selector) ?? document.querySelector(selector)
  const text = light(getComputedStyle(element).color)
  let behind = matchMedia('(prefers-color-scheme: dark)').matches ? 'rgb(18,18,18)' : 'white'
  for (; element !== null; element = element.parentElement) {
    const background = getComputedStyle(element).backgroundColor
    if (rgba(background)[3] === 255) { behind = background; break }
  }
  const back = light(behind)
  return (Math.max(text, back) + 0.05) / (Math.min(text, back) + 0.05)
}`
