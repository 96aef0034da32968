import type { TLSSocket } from 'node:tls'
import type { PairKey, PostgresHost, Reach } from '../../config/index.ts'
import { InnkeeperError } from '../errors.ts'
import { callHalf } from './channel.ts'
import { readFrame, writeFrame } from './frame.ts'
import { answerShape, type HalfRequest } from './requests.ts'

/** Another region's half of the mover, as this region's uses it. */
export interface OtherHalf {
  /** Sessions on a cluster of that region's. @param move null for what several moves share */
  reach(cluster: string, move: string | null): Reach
  /** What gateways there share in Redis about the move's tenant: removed, or counted; null where they have no Redis. */
  cached(move: string, remove: boolean): Promise<number | null>
}

const ANSWER_MS = 10_000

export function otherHalf(address: PostgresHost, key: PairKey): OtherHalf {
  const ask = async (request: HalfRequest): Promise<{ channel: TLSSocket; found: number | null }> => {
    const channel = await callHalf(address, key)
    try {
      writeFrame(channel, request)
      const answer = answerShape.parse(await readFrame(channel, ANSWER_MS))
      if (answer.ok) return { channel, found: answer.found ?? null }
      throw refused(key.to, answer.code)
    } catch (cause) {
      channel.destroy()
      if (cause instanceof InnkeeperError) throw cause
      throw new InnkeeperError('region_unavailable', `The half of the mover in region ${key.to} does not answer`, {
        cause,
        retryAfterMs: 1_000,
      })
    }
  }
  return {
    reach: (cluster, move) => async (database) => (await ask({ ask: 'session', cluster, database, move })).channel,
    async cached(move, remove) {
      const { channel, found } = await ask({ ask: 'cached', move, remove })
      channel.destroy()
      return found
    },
  }
}

function refused(region: string, code: 'forbidden' | 'failed'): InnkeeperError {
  return code === 'forbidden'
    ? new InnkeeperError('forbidden', `The half of the mover in region ${region} refused`, {
        hint: 'Its log says why. A half serves another for moves that lead there, until they have ended.',
      })
    : new InnkeeperError('region_unavailable', `The half of the mover in region ${region} failed`, {
        hint: 'Its log says why.',
        retryAfterMs: 1_000,
      })
}
