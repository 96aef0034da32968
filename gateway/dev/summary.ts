/** What `demo.json` in the state folder tells tools and tests. */
export interface DemoFile {
  readonly adminUrl: string
  readonly adminToken: string
  readonly gateways: Readonly<Record<string, string>>
  readonly tenants: readonly DemoTenantEntry[]
}

export interface DemoTenantEntry {
  readonly slug: string
  readonly tier: string
  readonly isolation: string
  readonly region: string
  readonly apiKey: string
  readonly url: string
}

/**
 * The table and the lines that a newcomer reads when everything is up.
 * @param hasDemoTables false for a product's own tables, whose names are not known here
 */
export function summaryOf(demo: DemoFile, stateFolder: string, hasDemoTables: boolean): string {
  const lines: string[] = ['']
  const rows = demo.tenants.map((t) => [t.slug, t.tier, t.isolation, t.region, t.url, t.apiKey])
  if (rows.length > 0) lines.push(table(['tenant', 'tier', 'isolation', 'region', 'url', 'key'], rows), '')
  for (const [region, url] of Object.entries(demo.gateways)) lines.push(`  gateway ${region}   ${url}`)
  lines.push(`  admin API    ${demo.adminUrl}   (token in ${stateFolder}/demo.json)`)
  const first = demo.tenants[0]
  if (first !== undefined) {
    const key = `-H 'apikey: ${first.apiKey}'`
    const paths = hasDemoTables
      ? [
          `'${first.url}/rest/v1/tickets?select=id,subject,customer:customers(name)&status=eq.open&limit=3'`,
          `-H 'content-type: application/json' -d '{"name":"vip"}' '${first.url}/rest/v1/tags'`,
        ]
      : [`'${first.url}/rest/v1/'`]
    lines.push('', 'Try it:', ...[`'${first.url}/v1/whoami'`, ...paths].map((path) => `  curl ${key} ${path}`))
  } else {
    lines.push('', 'Make a tenant:', `  npx innkeeper tenants create hello --region ${Object.keys(demo.gateways)[0]}`)
  }
  lines.push('', 'Ctrl-C stops everything; the data is kept.', '')
  return lines.join('\n')
}

function table(head: string[], rows: string[][]): string {
  const widths = head.map((h, i) => Math.max(h.length, ...rows.map((r) => r[i]!.length)))
  const line = (cells: string[]) =>
    `  ${cells
      .map((c, i) => c.padEnd(widths[i]!))
      .join('  ')
      .trimEnd()}`
  return [line(head), line(widths.map((w) => '-'.repeat(w))), ...rows.map(line)].join('\n')
}
