import { Writable } from 'node:stream'
import { startMover } from '../../gateway/mover.ts'

/**
 * A region's half of the mover in a process of its own. Given as JSON: the configuration, its region, the secrets of that
 * region alone, the migrations folder, the settings, and a point of a move at which it stops, says so, and waits to be told
 * to go on, or to be killed.
 */
const { input, region, env, migrationsFolder, moveSettings, point } = JSON.parse(process.argv[2]!)
const logTo = new Writable({
  write(chunk, _encoding, done) {
    process.stdout.write(chunk)
    done()
  },
})
let hasStopped = false
const mover = await startMover({
  configFolder: null,
  region,
  host: '127.0.0.1',
  port: 0,
  env,
  product: { config: input, migrationsFolder, references: [] },
  moveSettings,
  logTo: logTo as never,
  async hook(at) {
    // Once: the next attempt comes by here as well.
    if (at !== point || hasStopped) return
    hasStopped = true
    process.send!({ at })
    await new Promise((resolve) => process.once('message', resolve))
  },
})
process.send!({ port: mover.port })
process.once('disconnect', () => process.exit())
process.once('SIGTERM', () => void mover.close().then(() => process.exit()))
