import { registerHooks } from 'node:module'

/** What `exports` of package.json says, for a folder that has no such package installed. */
const OWN: Readonly<Record<string, URL>> = {
  innkeeper: new URL(`../../tiers/index${extension()}`, import.meta.url),
  'innkeeper/config': new URL(`../../config/index${extension()}`, import.meta.url),
}

/** Packages whose objects pass between the product and us: tables, SQL, apps. Two copies of one would not fit together. */
const SHARED = /^(?:drizzle-orm|hono)(?:\/|$)/

/** A hook is the process's own; once is enough. */
let isRegistered = false

/**
 * From now on a product's files find `innkeeper`, Drizzle and Hono where this file finds them, whether or not anything is
 * installed in the product's folder. What `?fresh=` was asked for goes on to what that file imports.
 */
export function resolveToThisCopy(): void {
  if (isRegistered) return
  isRegistered = true
  registerHooks({
    resolve(specifier, context, nextResolve) {
      const own = OWN[specifier]
      if (own !== undefined) return nextResolve(own.href, context)
      if (SHARED.test(specifier) && !isInstalled(context.parentURL)) {
        return nextResolve(specifier, { ...context, parentURL: import.meta.url })
      }
      const found = nextResolve(specifier, context)
      const fresh = /\?fresh=\w+$/.exec(context.parentURL ?? '')?.[0]
      if (fresh === undefined || !found.url.startsWith('file:') || isInstalled(found.url)) return found
      return { ...found, url: found.url + fresh }
    },
  })
}

/** Installed packages import what they were installed with. */
function isInstalled(url: string | undefined): boolean {
  return url === undefined || url.includes('/node_modules/')
}

/** From source Node runs TypeScript; a package holds JavaScript. */
function extension(): string {
  return import.meta.url.endsWith('.ts') ? '.ts' : '.js'
}
