import { findPostgresBinaries } from './binaries.ts'
import { ensureCluster } from './cluster.ts'
import { type Launch, launch } from './launch.ts'
import { choosePlace } from './place.ts'
import { HOST } from './postmaster.ts'
import { frozenFamilyOf, isPostmaster, signal, stopPostmaster } from './process.ts'
import type { LocalPostgres, LocalPostgresOptions } from './types.ts'

/**
 * Starts a PostgreSQL server on this machine, on 127.0.0.1, with a password of its own. Its data is made on the first
 * start and kept; one that a killed start has left running is taken over, on its port and with the settings it has.
 *
 * @throws InnkeeperError `internal`, with the end of the server's log, when it does not come up
 */
export async function startLocalPostgres(options: LocalPostgresOptions): Promise<LocalPostgres> {
  const { name, dataDir, settings = {}, onProgress = () => {} } = options
  const place = await choosePlace(dataDir, options.binaries ?? findPostgresBinaries())
  const { password } = place
  if (await ensureCluster(place)) onProgress(`${name}: data folder made`)

  const server: Launch = { name, place, settings }
  let running = await launch(server, options.port)
  onProgress(`${name}: ${running.isTakenOver ? 'was running, taken over' : 'started'}, port ${running.port}`)

  return {
    name,
    host: HOST,
    superuser: 'postgres',
    password,
    dataDir,
    get port() {
      return running.port
    },
    get pid() {
      return running.pid
    },
    url: (database = 'postgres', user = 'postgres', secret = password) =>
      `postgres://${[user, secret].map(encodeURIComponent).join(':')}@${HOST}:${running.port}/${encodeURIComponent(database)}`,
    stop: (mode = 'fast') => stopPostmaster(running.pid, place.data, mode),
    kill: (signalName) => kill(running.pid, place.data, signalName),
    async restart() {
      await stopPostmaster(running.pid, place.data, 'fast')
      running = await launch(server, running.port, true)
    },
  }
}

/** A failing machine takes the backends with it; a signal that means "stop" is the postmaster's to pass on. */
function kill(pid: number, data: string, name: NodeJS.Signals): void {
  if (!isPostmaster(pid, data)) return
  const isFailure = name === 'SIGKILL' || name === 'SIGSTOP' || name === 'SIGCONT'
  for (const each of isFailure ? frozenFamilyOf(pid) : [pid]) signal(each, name)
}
