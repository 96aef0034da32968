import { cp, rm } from 'node:fs/promises'
import { extname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'

/**
 * The last step of `npm pack`, after the compiler's: copies beside the JavaScript what it reads when it runs. Node strips
 * no types under node_modules, so the package holds no TypeScript but its declarations.
 */
const ROOT = fileURLToPath(new URL('../../', import.meta.url))
const DIST = join(ROOT, 'dist')
const FOLDERS = ['config', 'tiers', 'gateway'] as const
const ASSETS = new Set(['', '.sql', '.json', '.template'])

for (const folder of FOLDERS) {
  await cp(join(ROOT, folder), join(DIST, folder), {
    recursive: true,
    // A folder has no extension, and is made whether or not something is copied into it.
    filter: (source) => ASSETS.has(extname(source)) || source.endsWith('.d.ts'),
  })
}
// What only this repository needs.
for (const file of ['pack.js', 'pack.d.ts'])
  await rm(join(DIST, relative(ROOT, import.meta.dirname), file), { force: true })
