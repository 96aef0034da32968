import { readFileSync } from 'node:fs'

interface OwnPackage {
  readonly version: string
  readonly dependencies: Readonly<Record<string, string>>
  readonly devDependencies: Readonly<Record<string, string>>
}

/** Innkeeper's own package.json: from source it is two folders up, in a package, where this is under dist/, three. */
export function ownPackage(): OwnPackage {
  const path = import.meta.url.endsWith('.ts') ? '../../package.json' : '../../../package.json'
  return JSON.parse(readFileSync(new URL(path, import.meta.url), 'utf8')) as OwnPackage
}
