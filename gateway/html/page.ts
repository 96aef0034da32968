import { createHash } from 'node:crypto'
import { html, raw } from 'hono/html'
import { STYLE } from './style.ts'

export type Html = ReturnType<typeof html>

/** Nothing but the pages' own style may load or run, so what a page shows can do no harm there. */
export const PAGE_POLICY = pagePolicy()

/** @param script the one that may run, and ask the page's own server */
export function pagePolicy(script?: string): string {
  return [
    `default-src 'none'`,
    `style-src '${hashOf(STYLE)}'`,
    ...(script === undefined ? [] : [`script-src '${hashOf(script)}'`, `connect-src 'self'`]),
    `base-uri 'none'`,
    `form-action 'none'`,
    `frame-ancestors 'none'`,
  ].join('; ')
}

/** A whole page, with nothing from anywhere else. */
export function htmlPage(title: string, body: Html): Html {
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${title}</title>
<style>${raw(STYLE)}</style>
</head>
<body>
${body}
</body>
</html>`
}

/** Browsers name `text/html` first; clients of an API name JSON, anything, or nothing. */
export function prefersHtml(accept: string): boolean {
  const at = accept.indexOf('text/html')
  const json = accept.indexOf('json')
  return at !== -1 && (json === -1 || at < json)
}

function hashOf(text: string): string {
  return `sha256-${createHash('sha256').update(text).digest('base64')}`
}
