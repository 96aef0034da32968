/** What a move asks before each piece of work that its neighbours on the two servers may feel. */
export interface Throttle {
  /**
   * Runs one piece of work in its turn, and rests after it as long as the neighbours need.
   *
   * @param work is given how large a piece it may be, as a part of a full one: over 0, up to 1
   * @throws what the work throws, and the reason of the signal that the throttle was opened with
   */
  paced<T>(work: (part: number) => Promise<T>): Promise<T>
  /** The part of the full speed that is held back at the moment: 0 to under 1. */
  heldBack(): number
  close(): Promise<void>
}

/** As fast as it goes. */
export const UNTHROTTLED: Throttle = {
  paced: (work) => work(1),
  heldBack: () => 0,
  close: async () => {},
}
