import type { MiddlewareHandler } from 'hono'
import { html, raw } from 'hono/html'
import { htmlPage, pagePolicy, prefersHtml } from '../../html/page.ts'
import { KEY_SCRIPT } from './key-script.ts'

const POLICY = pagePolicy(KEY_SCRIPT)

const PAGE = htmlPage(
  'Data API',
  html`<header><h1>Data API</h1>
<form id="key-form">
<p><label for="key">An API key of the tenant, or a JWT</label><br>
<input id="key" type="password" autocomplete="off" spellcheck="false" required> <button>Show</button></p>
<p>It is kept in this page until you leave it, and sent as a header to this address alone.</p>
</form>
<form id="try-form" hidden>
<p><label for="try">Read rows</label><br>
<code>GET …/</code><input id="try" autocomplete="off" spellcheck="false" placeholder="table?limit=10" required> <button>Send</button></p>
</form>
<p id="said" role="status"></p></header>
<pre id="rows" tabindex="0" hidden></pre>
<div id="shown"></div>
<script type="module">${raw(KEY_SCRIPT)}</script>`,
)

/**
 * Lets a browser in that has no way to send a key by itself: asks for one, and then shows what is there with it. The page
 * is the same for every tenant and for none, so it tells nobody whether there is one. To be used before anything that
 * asks for a credential; whoever brings one, or is no browser, is left to what comes next.
 *
 * @param path where the data API is, as routes see it, without a slash at the end
 */
export function keyPage(path: string): MiddlewareHandler {
  const paths = new Set([path, `${path}/`])
  return async function keyPage(c, next) {
    if (!paths.has(c.req.path) || (c.req.method !== 'GET' && c.req.method !== 'HEAD')) return next()
    const { headers } = c.req.raw
    const isOpen = headers.get('apikey') === null && headers.get('authorization') === null
    if (!isOpen || !prefersHtml(headers.get('accept') ?? '')) return next()
    return c.html(PAGE, 200, { 'content-security-policy': POLICY, vary: 'accept' })
  }
}
