import type { Catalogue } from '../catalogue/types.ts'
import { tablePath } from './paths.ts'
import { type JsonSchema, rowSchemas } from './schemas.ts'
import { ERROR_WORDS, OPERATOR_WORDS, PREFERENCE_WORDS } from './words.ts'

/**
 * Describes the data API of one tenant as OpenAPI 3.1: its tables, their columns, and how to filter, page and write.
 * It says nothing of where the API is mounted, which may name a tenant while the catalogue is shared by many.
 */
export function openApiDocument(catalogue: Catalogue): JsonSchema {
  const tables = [...catalogue.tables.values()]
  return {
    openapi: '3.1.0',
    info: { title: 'Data API', version: '1', description: DESCRIPTION },
    tags: tables.map(({ name, comment }) => ({ name, ...(comment === null ? {} : { description: comment }) })),
    paths: Object.fromEntries(tables.map((table) => [`/${encodeURIComponent(table.name)}`, tablePath(table)])),
    components: {
      schemas: rowSchemas(catalogue),
      parameters: PARAMETERS,
      responses: RESPONSES,
      ...SECURITY,
    },
    security: [{ bearer: [] }, { apiKey: [] }],
  }
}

const DESCRIPTION = `Every table in PostgREST's dialect.

Filters: any column is a query parameter, \`column=operator.value\`; \`not.\` before the operator negates it.

${Object.values(OPERATOR_WORDS)
  .map(([example, meaning]) => `- \`${example}\` ${meaning}`)
  .join('\n')}

Trees: \`or=(a.eq.1,and(b.gt.2,c.is.null))\`, also \`not.or=\`. JSON: \`data->key->>text\`. Embedding follows foreign keys:
\`select=*,customers(name),comments(*)\`, filtered by \`comments.body=ilike.*fire*\`.`

/** In its place, and not among the tables': one of those may be called so. */
const ERROR_SCHEMA = {
  type: 'object',
  required: ['code', 'message'],
  properties: {
    code: {
      type: 'string',
      description: ERROR_WORDS.map(([code, status, text]) => `${code} (${status}): ${text}`).join('\n'),
    },
    message: { type: 'string' },
    details: { description: 'Text; of PGRST201 a list of the relationships' },
    hint: { type: ['string', 'null'] },
  },
}

const RESPONSES = {
  error: {
    description: 'What went wrong',
    content: { 'application/json': { schema: ERROR_SCHEMA } },
  },
}

const query = (name: string, description: string, schema: JsonSchema = { type: 'string' }) => ({
  [name]: { name, in: 'query', required: false, description, schema },
})
const header = (name: string, title: string, description: string) => ({
  [name]: { name: title, in: 'header', required: false, description, schema: { type: 'string' } },
})
const COUNT: JsonSchema = { type: 'integer', minimum: 0 }

const PARAMETERS = {
  ...query('select', 'Columns (alias:column::type), JSON paths and embedded resources'),
  ...query('order', 'Columns with .asc or .desc, .nullsfirst or .nullslast'),
  ...query('limit', 'The most rows; the plan has a ceiling of its own', COUNT),
  ...query('offset', 'Rows to skip', COUNT),
  ...query('and', 'Conditions that all hold: (a.eq.1,b.gt.2)'),
  ...query('or', 'Conditions of which one holds: (a.eq.1,b.gt.2)'),
  ...query('columns', 'Keys of the payload to use; the rest of it is ignored'),
  ...query('on_conflict', 'The columns of the unique key to upsert on'),
  ...header('range', 'Range', 'Rows as 0-9, in place of limit and offset'),
  ...header(
    'prefer',
    'Prefer',
    PREFERENCE_WORDS.map(([preference, meaning]) => `${preference}: ${meaning}`).join('\n'),
  ),
}

const SECURITY = {
  securitySchemes: {
    bearer: { type: 'http', scheme: 'bearer' },
    apiKey: { type: 'apiKey', in: 'header', name: 'apikey' },
  },
}
