import { resolveConfig } from '../../../config/index.ts'
import { openControlPlane } from '../../../tiers/control/control-plane.ts'

/**
 * A mover in a process of its own that stops itself at one point of its work, and goes on from there when it is woken. It
 * ends when nothing is left to do for it.
 */
const { input, env, migrationsFolder, moveSettings, point } = JSON.parse(process.argv[2]!)
const config = resolveConfig(input, { kind: 'control' }, env)
const control = openControlPlane({ config, migrationsFolder, moveSettings })
let woken = false
const runner = control.moves.run((at) => {
  if (at !== point || woken) return
  process.kill(process.pid, 'SIGSTOP')
  woken = true
})
setInterval(() => {
  if (woken && runner.active().length === 0) process.exit(0)
}, 50)
