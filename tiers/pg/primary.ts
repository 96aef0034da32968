import { setTimeout as sleep } from 'node:timers/promises'
import { type PostgresHost, parsePostgresUrl, type SessionTarget } from '../../config/index.ts'
import { InnkeeperError } from '../errors.ts'
import { isOutOfReach } from './breaker.ts'
import { type HostProbe, hostProbe } from './host-probe.ts'
import { type Chosen, choosePrimary, describeHosts, type HostAnswer, type HostState } from './hosts.ts'
import type { PostgresServer } from './server.ts'

/** One host of a server, as a driver is to reach it. */
export interface Reachable {
  readonly host: PostgresHost
  readonly target: SessionTarget
  /** Whether another may be asked in its place, so that it need not be waited for as long. */
  readonly isOneOfSeveral: boolean
  /** With the database of the server's URL where none is named. */
  url(database?: string): string
}

/** Knows which host of a server is its primary. With one host it is that one, and nothing is ever asked. */
export interface Primary {
  /**
   * Connects to the primary. Where none is found, or the one that was known is out of reach, it looks again until there is
   * one or the wait is over.
   *
   * @throws InnkeeperError `cluster_unavailable` when none was found in time; what `connect` throws otherwise
   */
  open<T>(connect: (reachable: Reachable) => Promise<T>): Promise<T>
  /** A connection was lost, or is not what it was: the next `open` looks anew. */
  doubt(): void
  close(): void
}

export interface PrimaryOptions {
  readonly server: PostgresServer
  /** Where hosts are asked what they are; that of the URL where left out. */
  readonly database?: string | undefined
  /** How long `open` looks for one, in milliseconds. */
  readonly waitMs: number
  /**
   * Keeps watch, from the first `open` on, and tells of another primary: what is still connected to the one before would
   * wait for it, or write to it. Without it nothing stays connected between looks.
   */
  readonly onChange?: (host: PostgresHost) => void
}

const WATCH_MS = 1_000
const PAUSE_MS = 100
/** How long the others are waited for when one has said that it is the primary: another may be so on a later timeline. */
const OTHERS_MS = 250

export function createPrimary(options: PrimaryOptions): Primary {
  const { hosts, target, one } = parsePostgresUrl(options.server.url)
  const reachable = (host: PostgresHost): Reachable => ({
    host,
    target,
    isOneOfSeveral: hosts.length > 1,
    url: (database) => one(host, database),
  })
  if (hosts.length === 1) {
    const only = reachable(hosts[0])
    return { open: (connect) => connect(only), doubt() {}, close() {} }
  }
  return severalHosts(hosts.map(reachable), target, options)
}

function severalHosts(all: readonly Reachable[], target: SessionTarget, options: PrimaryOptions): Primary {
  const { server, database, waitMs, onChange } = options
  const probes = new Map<PostgresHost, HostProbe>(all.map((r) => [r.host, hostProbe(r.url(database), server)]))
  let known: Chosen | null = null
  let isDoubted = true
  let states: readonly HostState[] = []
  let looking: Promise<void> | null = null
  let timer: NodeJS.Timeout | null = null
  let isClosed = false

  const look = () => {
    looking ??= askAll(probes).then((found) => {
      looking = null
      states = found
      const chosen = choosePrimary(found, target, known)
      if (onChange === undefined || isClosed) closeProbes()
      if (chosen === null) return
      const isOther = known !== null && chosen.host !== known.host
      known = chosen
      isDoubted = false
      if (isOther) onChange?.(chosen.host)
    })
    return looking
  }
  const closeProbes = () => {
    for (const probe of probes.values()) probe.close()
  }
  const found = async (until: number): Promise<Reachable> => {
    for (;;) {
      if (known !== null && !isDoubted) return all.find((r) => r.host === known!.host)!
      await look()
      if (!isDoubted) continue
      if (isClosed || performance.now() > until) throw noPrimary(states, known)
      await sleep(PAUSE_MS)
    }
  }

  return {
    async open(connect) {
      if (onChange !== undefined && !isClosed) timer ??= setInterval(() => void look(), WATCH_MS).unref()
      const until = performance.now() + waitMs
      for (;;) {
        const primary = await found(until)
        try {
          return await connect(primary)
        } catch (error) {
          if (!isOutOfReach(error)) throw error
          isDoubted = true
          if (isClosed || performance.now() > until) throw error
          await sleep(PAUSE_MS)
        }
      }
    },
    doubt() {
      isDoubted = true
    },
    close() {
      isClosed = true
      if (timer !== null) clearInterval(timer)
      closeProbes()
    },
  }
}

/** All at once. Those who have not answered shortly after the first primary did are silent this time. */
async function askAll(probes: ReadonlyMap<PostgresHost, HostProbe>): Promise<HostState[]> {
  const answers = new Map<PostgresHost, HostAnswer>()
  const { promise: enough, resolve } = Promise.withResolvers<void>()
  for (const [host, probe] of probes) {
    probe.ask().then((answer) => {
      answers.set(host, answer)
      if (answers.size === probes.size) resolve()
      else if (answer.kind === 'primary') setTimeout(resolve, OTHERS_MS)
    })
  }
  await enough
  return [...probes.keys()].map((host) => ({ host, answer: answers.get(host) ?? SILENT }))
}

const SILENT: HostAnswer = { kind: 'silent', error: new Error('no answer yet') }

function noPrimary(states: readonly HostState[], known: Chosen | null): InnkeeperError {
  return new InnkeeperError('cluster_unavailable', 'None of the hosts is a primary that takes writes', {
    retryAfterMs: 1_000,
    cause: new Error(describeHosts(states, known)),
  })
}
