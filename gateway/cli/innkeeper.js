#!/usr/bin/env node
// Plain JavaScript, since an older Node reads it too: it only finds the Node that the rest needs.
import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import { constants } from 'node:os'
import { dirname, join } from 'node:path'

const NODE_MAJOR = 24

if (Number(process.versions.node.split('.')[0]) >= NODE_MAJOR) await run()
else runWithOwnNode()

/** From source as TypeScript; from a package as JavaScript, because Node strips no types under node_modules. */
async function run() {
  const built = new URL('../../dist/gateway/cli/main.js', import.meta.url)
  const isInstalled = import.meta.url.includes('/node_modules/') || !existsSync(new URL('./main.ts', import.meta.url))
  const { main } = await import(isInstalled ? built.href : './main.ts')
  process.exitCode = await main(process.argv.slice(2))
}

/** Runs the same command line with the Node that the npm package `node` brings. */
function runWithOwnNode() {
  const binary = ownNode()
  if (binary === null) {
    console.error(`innkeeper needs Node.js ${NODE_MAJOR}; this is ${process.version}.
Install it, or let npm bring it along: npm install --allow-scripts node`)
    process.exit(1)
  }
  const child = spawn(binary, process.argv.slice(1), { stdio: 'inherit' })
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGUSR2']) {
    // A terminal sends its Ctrl-C to the child as well; a second one would make it stop in haste.
    process.on(signal, () => (signal === 'SIGINT' && process.stdin.isTTY ? null : child.kill(signal)))
  }
  child.on('error', (error) => {
    console.error(`innkeeper could not start ${binary}: ${error.message}`)
    process.exit(1)
  })
  child.on('exit', (code, signal) => process.exit(code ?? 128 + (constants.signals[signal] ?? 0)))
}

function ownNode() {
  try {
    const folder = dirname(createRequire(import.meta.url).resolve('node/package.json'))
    const binary = join(folder, 'bin', process.platform === 'win32' ? 'node.exe' : 'node')
    return existsSync(binary) ? binary : null
  } catch {
    return null
  }
}
