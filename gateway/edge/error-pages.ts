import type { Context, MiddlewareHandler } from 'hono'
import { html } from 'hono/html'
import { ERROR_CODES, type ErrorCode } from '../../tiers/errors.ts'
import { type Html, htmlPage, PAGE_POLICY, prefersHtml } from '../html/page.ts'
import { ERROR_WORDS } from './error-words.ts'
import { problemType, statusOf, titleOf } from './problem.ts'

const MAX_AGE_S = 3_600
const CODES = new Map((Object.keys(ERROR_CODES) as ErrorCode[]).map((code) => [problemType(code), code]))

/**
 * What a problem's `type` leads to: what the code means and what to do, as a page for a browser and as JSON for others. It
 * is the same for everyone, so it asks for no credential and may be kept. Paths of no code are left to whoever comes next.
 */
export function errorPages(): MiddlewareHandler {
  return async function errorPages(c, next) {
    const code = CODES.get(c.req.path)
    if (code === undefined || !(c.req.method === 'GET' || c.req.method === 'HEAD')) return next()
    return answer(c, code)
  }
}

function answer(c: Context, code: ErrorCode): Response | Promise<Response> {
  const headers = { 'cache-control': `public, max-age=${MAX_AGE_S}`, vary: 'accept' }
  if (prefersHtml(c.req.header('accept') ?? '')) {
    return c.html(pageOf(code), 200, { ...headers, 'content-security-policy': PAGE_POLICY })
  }
  const { owner, retryable } = ERROR_CODES[code]
  const { meaning, toDo } = ERROR_WORDS[code]
  const known = { type: problemType(code), code, title: titleOf(code), status: statusOf(code), owner, retryable }
  return c.json({ ...known, meaning, to_do: toDo }, 200, headers)
}

function pageOf(code: ErrorCode): Html {
  const { owner, retryable } = ERROR_CODES[code]
  const { meaning, toDo } = ERROR_WORDS[code]
  return htmlPage(
    `${code} (${statusOf(code)})`,
    html`<main>
<h1>${titleOf(code)}</h1>
<p><code>${code}</code>, status ${statusOf(code)}</p>
<p>${words(meaning)}</p>
<h2>What to do</h2>
<p>${words(toDo)}</p>
<p>Whose it is to mend: ${owner}. ${retryable ? 'The same request may succeed later.' : 'The same request fails again until something changes.'}</p>
</main>`,
  )
}

function words(text: string): Html {
  const parts = text.split('`')
  return html`${parts.map((part, at) => (at % 2 === 1 ? html`<code>${part}</code>` : part))}`
}
