import type { Naming, Strategy } from './naming.ts'

/** `/t/{slug}/...`, as the router's own reading of the path found it. */
export const byPath: Strategy = function path({ pathSlug }): Naming | null {
  return pathSlug === null ? null : { kind: 'slug', value: pathSlug, source: 'the path' }
}
