import { resolveConfig } from '../../config/index.ts'
import { openControlPlane } from '../../tiers/control/control-plane.ts'

/**
 * A mover in a process of its own, which kills itself the hard way at one point of its work. Given as JSON: the
 * configuration, its secrets, the migrations folder, the settings, and the point.
 */
const { input, env, migrationsFolder, moveSettings, point } = JSON.parse(process.argv[2]!)
const config = resolveConfig(input, { kind: 'control' }, env)
const control = openControlPlane({ config, migrationsFolder, moveSettings })
control.moves.run((at) => {
  if (at === point) process.kill(process.pid, 'SIGKILL')
})
