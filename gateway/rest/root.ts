import type { Context } from 'hono'
import { PAGE_POLICY, prefersHtml } from '../html/page.ts'
import type { Catalogue } from './catalogue/types.ts'
import { openApiDocument } from './openapi/document.ts'
import { apiPage } from './openapi/page.ts'
import type { RestRoom } from './room.ts'
import { splitUrl } from './url.ts'

/**
 * Makes the handler of the API's root: a page for a browser, the OpenAPI document for anything else. The document is
 * made once for each catalogue.
 */
export function rootHandler(): (c: Context, room: RestRoom) => Promise<Response> {
  const documents = new WeakMap<Catalogue, string>()
  return async function describeApi(c, room) {
    const catalogue = await room.catalogue()
    const { path } = splitUrl(c.req.url)
    const basePath = path.endsWith('/') ? path.slice(0, -1) : path
    if (prefersHtml(c.req.header('accept') ?? '')) {
      c.header('content-security-policy', PAGE_POLICY)
      c.header('vary', 'accept')
      return c.html(apiPage(catalogue, basePath))
    }
    const known = documents.get(catalogue)
    const text = known ?? JSON.stringify(openApiDocument(catalogue))
    if (known === undefined) documents.set(catalogue, text)
    // Tenants of shared tables share a catalogue, but not the path, which may hold a tenant's name.
    const servers = JSON.stringify([{ url: basePath === '' ? '/' : basePath }])
    return c.body(`{"servers":${servers},${text.slice(1)}`, 200, {
      'content-type': 'application/openapi+json; charset=utf-8',
      vary: 'accept',
    })
  }
}
