export const HOUR_MS = 3_600_000
export const DAY_MS = 24 * HOUR_MS

export interface Period {
  readonly from: Date
  readonly to: Date
}

/** The two years that the demo tells of. They are fixed, so that the same tenant has the same data on every machine. */
export const DEMO_PERIOD: Period = {
  from: new Date('2024-11-01T00:00:00Z'),
  to: new Date('2026-11-01T00:00:00Z'),
}
