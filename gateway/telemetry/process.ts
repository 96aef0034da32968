import { type EventLoopUtilization, performance } from 'node:perf_hooks'
import type { Meter } from '@opentelemetry/api'

/** What an operator looks at first when everything is slow: memory, and how busy the one thread is. */
export function observeProcess(meter: Meter): void {
  meter.createObservableGauge('process_resident_memory_bytes').addCallback((r) => r.observe(process.memoryUsage.rss()))
  meter.createObservableGauge('nodejs_heap_used_bytes').addCallback((r) => r.observe(process.memoryUsage().heapUsed))
  let before: EventLoopUtilization | undefined
  meter.createObservableGauge('nodejs_event_loop_utilization_ratio').addCallback((r) => {
    const now = performance.eventLoopUtilization()
    // Since the last collection, since what is asked is how busy it is, not how busy it was since its start.
    r.observe(performance.eventLoopUtilization(now, before).utilization)
    before = now
  })
}
