import { RestError } from '../errors.ts'

export interface Format {
  readonly kind: 'json' | 'object' | 'csv'
  readonly contentType: string
  readonly stripNulls: boolean
}

const JSON_FORMAT: Format = format('json', 'application/json; charset=utf-8')
const CSV_FORMAT: Format = format('csv', 'text/csv; charset=utf-8')

/**
 * Chooses the shape of the answer from the `Accept` header, taking the first of its media types that is served.
 *
 * @throws RestError PGRST107 (406) when none is
 */
export function parseAccept(header: string | undefined): Format {
  if (header === undefined || header === '' || header === '*/*' || header === 'application/json') return JSON_FORMAT
  for (const range of header.split(',')) {
    const [type = '', ...parameters] = range.split(';').map((part) => part.trim().toLowerCase())
    const found = formatOf(type, parameters.includes('nulls=stripped'))
    if (found !== null) return found
  }
  throw new RestError(406, 'PGRST107', `None of these media types are available: ${header.slice(0, 200)}`)
}

function formatOf(type: string, stripNulls: boolean): Format | null {
  switch (type) {
    case 'application/json':
    case 'application/*':
    case '*/*':
      return JSON_FORMAT
    case 'application/vnd.pgrst.array':
    case 'application/vnd.pgrst.array+json':
      return stripNulls
        ? format('json', 'application/vnd.pgrst.array+json;nulls=stripped; charset=utf-8', true)
        : JSON_FORMAT
    case 'application/vnd.pgrst.object':
    case 'application/vnd.pgrst.object+json': {
      const suffix = stripNulls ? ';nulls=stripped' : ''
      return format('object', `application/vnd.pgrst.object+json${suffix}; charset=utf-8`, stripNulls)
    }
    case 'text/csv':
    case 'text/*':
      return CSV_FORMAT
    default:
      return null
  }
}

function format(kind: Format['kind'], contentType: string, stripNulls = false): Format {
  return Object.freeze({ kind, contentType, stripNulls })
}
