import { type Config, type PairKeys, pairKeys } from '../../config/index.ts'

/** The control plane as a caller of halves. No region can have this name. */
export const CONTROL = '@control'

/** The keys between one process and all halves. @param own its region, or {@link CONTROL} */
export function channelKeys({ regions, controlChannel }: Config, own: string): PairKeys {
  const peers = [...regions].flatMap(([name, { mover }]) => (mover === null ? [] : [[name, mover] as const]))
  return pairKeys(
    'half',
    own,
    new Map([...peers, ...(controlChannel === null ? [] : [[CONTROL, controlChannel] as const])]),
  )
}
