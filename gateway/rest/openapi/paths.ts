import type { Table } from '../catalogue/types.ts'
import type { JsonSchema } from './schemas.ts'

const parameter = (name: string) => ({ $ref: `#/components/parameters/${name}` })
const response = (name: string) => ({ $ref: `#/components/responses/${name}` })

const ERRORS = { '4XX': response('error'), '5XX': response('error') }

/** What can be done with one table: only the methods that this tenant's role is allowed. */
export function tablePath(table: Table): JsonSchema {
  const row = { $ref: `#/components/schemas/${pointer(table.name)}` }
  const rows = { type: 'array', items: row }
  const filters = [...table.columns.values()].map((column) => ({
    name: column.name,
    in: 'query',
    required: false,
    description: `Filter by ${column.name}, such as ${column.name}=eq.… or ${column.name}=not.in.(…)`,
    schema: { type: 'string' },
  }))
  const operation = (method: string, summary: string, parameters: unknown[], rest: JsonSchema) => ({
    operationId: `${method}_${table.name}`,
    tags: [table.name],
    summary,
    parameters,
    ...rest,
  })
  const shown = { content: { 'application/json': { schema: rows } } }
  const body = {
    requestBody: {
      required: true,
      content: { 'application/json': { schema: { oneOf: [row, rows] } }, 'text/csv': { schema: { type: 'string' } } },
    },
  }
  const written = ['select', 'prefer'].map(parameter)
  const { insert, update, delete: remove } = table.privileges
  return {
    get: operation('get', `Read rows of ${table.name}`, [...READ_PARAMETERS.map(parameter), ...filters], {
      responses: {
        '200': { description: 'The rows', headers: PAGE_HEADERS, ...shown },
        '206': { description: 'A page of them', headers: PAGE_HEADERS, ...shown },
        ...ERRORS,
      },
    }),
    ...(insert && {
      post: operation(
        'post',
        `Insert or upsert rows of ${table.name}`,
        [...written, ...['columns', 'on_conflict'].map(parameter)],
        {
          ...body,
          responses: { '201': { description: 'Made; with rows for return=representation', ...shown }, ...ERRORS },
        },
      ),
    }),
    ...(update && {
      patch: operation('patch', `Update rows of ${table.name}`, [...written, ...filters], {
        requestBody: { required: true, content: { 'application/json': { schema: { ...row, required: [] } } } },
        responses: {
          '200': { description: 'The rows, for return=representation', ...shown },
          '204': { description: 'Done' },
          ...ERRORS,
        },
      }),
    }),
    ...(remove && {
      delete: operation('delete', `Delete rows of ${table.name}`, [...written, ...filters], {
        responses: {
          '200': { description: 'The rows, for return=representation', ...shown },
          '204': { description: 'Done' },
          ...ERRORS,
        },
      }),
    }),
  }
}

const READ_PARAMETERS = ['select', 'order', 'limit', 'offset', 'and', 'or', 'range', 'prefer']
const PAGE_HEADERS = {
  'Content-Range': { description: '0-9/25: the rows shown, and all of them', schema: { type: 'string' } },
}

/** A name as it stands within a JSON pointer in a URI fragment. */
function pointer(name: string): string {
  return encodeURIComponent(name.replaceAll('~', '~0').replaceAll('/', '~1'))
}
