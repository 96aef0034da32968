import { html } from 'hono/html'
import { type Html, htmlPage } from '../../html/page.ts'
import type { Catalogue, Column, Table } from '../catalogue/types.ts'
import { isRequired } from './schemas.ts'
import { ERROR_WORDS, OPERATOR_WORDS, PREFERENCE_WORDS } from './words.ts'

/**
 * The data API of one tenant as a page for people: what the OpenAPI document says, readable in a browser.
 *
 * @param basePath where the API is mounted, without a slash at the end
 */
export function apiPage(catalogue: Catalogue, basePath: string): Html {
  const tables = [...catalogue.tables.values()]
  const body = html`<header><h1>Data API</h1>
<p>Every table below is served in <a href="https://docs.postgrest.org">PostgREST's dialect</a>, so its client libraries
work as they are. Ask for this page as <code>application/json</code> to get the OpenAPI document.</p></header>
<nav aria-label="Contents"><ul>
${tables.map((table) => html`<li><a href="#${anchor(table)}">${table.name}</a></li>`)}
<li><a href="#filters">Filters</a></li><li><a href="#preferences">Preferences</a></li><li><a href="#errors">Errors</a></li>
</ul></nav>
<main>
${tables.length === 0 ? html`<p>There is no table yet.</p>` : tables.map((table) => tableSection(catalogue, table, basePath))}
<section id="filters"><h2>Filters</h2>
<p>Any column is a query parameter. <code>not.</code> before an operator negates it;
<code>or=(a.eq.1,b.is.null)</code> and <code>and=(…)</code> nest.</p>
${listTable(
  ['Operator', 'Example', 'Holds when the column'],
  Object.entries(OPERATOR_WORDS).map(([name, [example, meaning]]) => [code(name), code(example), meaning]),
)}
</section>
<section id="preferences"><h2>Preferences</h2>
${listTable(
  ['Prefer', 'Effect'],
  PREFERENCE_WORDS.map(([preference, meaning]) => [code(preference), meaning]),
)}
</section>
<section id="errors"><h2>Errors</h2>
<p>A JSON object with <code>code</code>, <code>message</code>, <code>details</code> and <code>hint</code>.</p>
${listTable(
  ['Code', 'Status', 'Meaning'],
  ERROR_WORDS.map(([name, status, meaning]) => [code(name), String(status), meaning]),
)}
</section>
</main>`
  return htmlPage('Data API', body)
}

function tableSection(catalogue: Catalogue, table: Table, basePath: string): Html {
  const { insert, update, delete: remove } = table.privileges
  const methods = ['GET', ...(insert ? ['POST'] : []), ...(update ? ['PATCH'] : []), ...(remove ? ['DELETE'] : [])]
  const related = [...new Set((catalogue.relationships.get(table.name) ?? []).map(({ to }) => to))]
  const rows = [...table.columns.values()].map((column) => [
    code(column.name),
    column.type.enumValues.length > 0 ? column.type.enumValues.join(', ') : column.type.label,
    columnNotes(table, column),
  ])
  return html`<section id="${anchor(table)}"><h2>${table.name}</h2>
${table.comment === null ? '' : html`<p>${table.comment}</p>`}
<p><code>${methods.join(' ')} ${basePath}/${encodeURIComponent(table.name)}</code></p>
${listTable(['Column', 'Type', 'Notes'], rows)}
${related.length === 0 ? '' : html`<p>Embeds: ${related.map((name, at) => html`${at === 0 ? '' : ', '}${code(name)}`)}</p>`}
</section>`
}

function columnNotes(table: Table, column: Column): string {
  const notes = [column.comment]
  if (table.primaryKey?.columns.includes(column.name)) notes.push('primary key')
  if (column.generated) notes.push('read-only')
  else if (isRequired(column)) notes.push('required')
  return notes.filter((note) => note !== null).join('; ')
}

function listTable(heads: readonly string[], rows: readonly (readonly (string | Html)[])[]): Html {
  return html`<div class="wide"><table>
<thead><tr>${heads.map((head) => html`<th scope="col">${head}</th>`)}</tr></thead>
<tbody>${rows.map((row) => html`<tr>${row.map((cell) => html`<td>${cell}</td>`)}</tr>`)}</tbody>
</table></div>`
}

function code(text: string): Html {
  return html`<code>${text}</code>`
}

function anchor(table: Table): string {
  return `table-${encodeURIComponent(table.name)}`
}
