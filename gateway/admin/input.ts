import type { z } from 'zod'
import { InnkeeperError } from '../../tiers/errors.ts'
import type { AdminContext } from './env.ts'

/**
 * Reads and checks a JSON body.
 *
 * @throws InnkeeperError `invalid_request` with the field and the reason
 */
export async function bodyOf<S extends z.ZodType>(c: AdminContext, shape: S): Promise<z.output<S>> {
  const text = await c.req.text()
  if (text.trim() === '') return checked(shape, {}, 'body')
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (cause) {
    throw new InnkeeperError('invalid_request', 'The body is not JSON', {
      details: (cause as Error).message,
      field: 'body',
      cause,
    })
  }
  return checked(shape, value, 'body')
}

/** Reads and checks the query; a parameter that is given twice is refused. */
export function queryOf<S extends z.ZodType>(c: AdminContext, shape: S): z.output<S> {
  const values: Record<string, string> = {}
  for (const [name, given] of Object.entries(c.req.queries())) {
    if (given.length > 1) {
      throw new InnkeeperError('invalid_request', `The parameter ${name} is given ${given.length} times`, {
        field: name,
      })
    }
    values[name] = given[0]!
  }
  return checked(shape, values, 'query')
}

function checked<S extends z.ZodType>(shape: S, value: unknown, whole: string): z.output<S> {
  const result = shape.safeParse(value)
  if (result.success) return result.data
  const faults = result.error.issues.map(({ path, message, ...issue }) => {
    const unknown = issue.code === 'unrecognized_keys' ? issue.keys[0] : undefined
    const field = [...path.map(String), ...(unknown === undefined ? [] : [unknown])].join('.') || whole
    return { field, message: unknown === undefined ? message : 'there is no such field' }
  })
  const first = faults[0]!
  throw new InnkeeperError('invalid_request', `${first.field}: ${first.message}`, {
    field: first.field,
    ...(faults.length > 1 ? { details: faults.map((f) => `${f.field}: ${f.message}`).join('; ') } : {}),
  })
}
