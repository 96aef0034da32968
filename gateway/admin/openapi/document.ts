import { z } from 'zod'
import { rolesWith } from '../../../tiers/operators/roles.ts'
import { type Operation, operations } from './operations.ts'
import { ref, schemas } from './schemas.ts'

/** The OpenAPI 3.1 document of the admin API. Requests are described by the very shapes that check them. */
export function openapiDocument(url: string) {
  const paths: Record<string, Record<string, unknown>> = {}
  for (const operation of operations) {
    paths[operation.path] ??= {}
    paths[operation.path]![operation.method] = describe(operation)
  }
  return {
    openapi: '3.1.0',
    info: {
      title: 'Innkeeper admin API',
      version: '1',
      description:
        'Makes and changes tenants. Bodies are strict: an unknown field is refused. Errors are problem documents (RFC 9457) with a stable `code`.',
    },
    servers: [{ url }],
    security: [{ token: [] }],
    paths,
    components: {
      schemas,
      securitySchemes: { token: { type: 'http', scheme: 'bearer', description: 'The admin token.' } },
    },
  }
}

function describe({ id, summary, right, path, body, query, headers = {}, answers, problems = [] }: Operation) {
  const responses: Record<string, unknown> = {}
  for (const [status, name] of Object.entries(answers)) {
    responses[status] = { description: 'Done', content: json('application/json', ref(name)) }
  }
  const always = [401, 403, ...(body || query ? [400] : []), ...(body ? [413] : [])]
  for (const status of new Set([...always, ...problems])) {
    responses[status] = { description: 'Problem', content: json('application/problem+json', ref('Problem')) }
  }
  const described = body === undefined ? null : schemaOf(body)
  return {
    operationId: id,
    summary,
    description: `For the roles ${rolesWith(right).join(', ')}.`,
    parameters: [...pathParameters(path), ...queryParameters(query), ...headerParameters(headers)],
    ...(described === null
      ? {}
      : { requestBody: { required: 'required' in described, content: json('application/json', described) } }),
    responses,
  }
}

const json = (type: string, schema: object) => ({ [type]: { schema } })

function schemaOf(shape: z.ZodType): Record<string, unknown> {
  const { $schema: _, ...schema } = z.toJSONSchema(shape, { io: 'input', unrepresentable: 'any' })
  return schema as Record<string, unknown>
}

function pathParameters(path: string) {
  return [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => ({
    name,
    in: 'path',
    required: true,
    schema: { type: 'string' },
    ...(name === 'slug' ? { description: "The tenant's slug or id" } : {}),
  }))
}

function queryParameters(query: z.ZodObject | undefined) {
  if (query === undefined) return []
  const { properties = {} } = schemaOf(query) as { properties?: Record<string, Record<string, unknown>> }
  return Object.entries(properties).map(([name, schema]) => ({ name, in: 'query', required: false, schema }))
}

function headerParameters(headers: Readonly<Record<string, string>>) {
  const schema = { type: 'string' }
  return Object.entries(headers).map(([name, description]) => ({
    name,
    in: 'header',
    required: false,
    description,
    schema,
  }))
}
