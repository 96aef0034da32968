import type { Meter } from '@opentelemetry/api'
import type { Attributes, Gauge } from '../../tiers/telemetry.ts'
import { keyOf } from './counters.ts'
import type { BoundLabels } from './tenant-labels.ts'

/**
 * Reads a gauge whenever metrics are collected. The SDK goes on reporting the last value of a series that is no longer
 * observed: a pool that was closed would seem to have connections for ever. So a series, once seen, is set to 0 when gone.
 *
 * @returns takes the gauge away: it stays at 0
 */
export function addGauge(
  meter: Meter,
  boundLabels: BoundLabels,
  name: string,
  read: () => Iterable<Gauge>,
): () => void {
  const seen = new Map<string, Attributes>()
  let current = read
  meter.createObservableGauge(name).addCallback((result) => {
    const values = new Map<string, number>()
    for (const { value, attributes } of current()) {
      const bound = boundLabels(attributes)
      const key = keyOf(bound)
      seen.set(key, bound)
      // Tenants that share the label `other` add up.
      values.set(key, (values.get(key) ?? 0) + value)
    }
    for (const [key, attributes] of seen) result.observe(values.get(key) ?? 0, attributes)
  })
  return () => {
    current = () => []
  }
}
