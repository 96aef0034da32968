import type { PairKey, PostgresHost, Reach } from '../../config/index.ts'
import { InnkeeperError } from '../errors.ts'
import { callHalf } from './channel.ts'
import { readFrame, writeFrame } from './frame.ts'
import type { RegionHands } from './hands.ts'
import { answerShape, appliedShape, factsShape, type HalfAnswer, type HalfRequest } from './requests.ts'

/** A region's half of the mover, as another region's uses it, or the control plane. */
export interface OtherHalf {
  /** Sessions on a cluster of that region's. @param move null for what several moves share, and for the control plane */
  reach(cluster: string, move: string | null): Reach
  /** What gateways there share in Redis about the move's tenant: removed, or counted; null where they have no Redis. */
  cached(move: string, remove: boolean): Promise<number | null>
  /** Refused to all but the control plane. */
  readonly hands: RegionHands
}

const ANSWER_MS = 10_000
/** What changes rooms takes as long as it takes; a half that is gone is noticed by its connection. */
const WORK_MS = 30 * 60_000

export function otherHalf(address: PostgresHost, key: PairKey): OtherHalf {
  const ask = async (request: HalfRequest, answerMs = ANSWER_MS) => {
    const channel = await callHalf(address, key)
    try {
      writeFrame(channel, request)
      const answer = answerShape.parse(await readFrame(channel, answerMs))
      if (answer.ok) return { channel, answer }
      throw refused(key.to, answer)
    } catch (cause) {
      channel.destroy()
      if (cause instanceof InnkeeperError) throw cause
      throw new InnkeeperError('region_unavailable', `The half of the mover in region ${key.to} does not answer`, {
        cause,
        retryAfterMs: 1_000,
      })
    }
  }
  const told = async (request: HalfRequest, answerMs = WORK_MS) => {
    const { channel, answer } = await ask(request, answerMs)
    channel.destroy()
    return answer.told
  }
  return {
    reach: (cluster, move) => async (database) => (await ask({ ask: 'session', cluster, database, move })).channel,
    async cached(move, remove) {
      const { channel, answer } = await ask({ ask: 'cached', move, remove })
      channel.destroy()
      return answer.found ?? null
    },
    hands: {
      async install() {
        await told({ ask: 'install' })
      },
      async makeRoom(tenant, { cluster, database, schema, isolation, epoch }, version) {
        await told({ ask: 'room', tenant, placement: { cluster, database, schema, isolation, epoch }, version })
      },
      migrate: async ({ cluster, database, schema }, version) =>
        appliedShape.parse(await told({ ask: 'migrate', cluster, database, schema, version })),
      about: async () => factsShape.parse(await told({ ask: 'about' }, ANSWER_MS)),
    },
  }
}

function refused(region: string, { code, fault }: HalfAnswer & { ok: false }): InnkeeperError {
  if (fault !== undefined) {
    const { details, hint } = fault
    return new InnkeeperError(fault.code, fault.message, {
      ...(details === undefined ? {} : { details }),
      ...(hint === undefined ? {} : { hint }),
    })
  }
  return code === 'forbidden'
    ? new InnkeeperError('forbidden', `The half of the mover in region ${region} refused`, {
        hint: 'Its log says why. A half serves another for moves that lead there, until they have ended.',
      })
    : new InnkeeperError('region_unavailable', `The half of the mover in region ${region} failed`, {
        hint: 'Its log says why.',
        retryAfterMs: 1_000,
      })
}
