import type { AddressInfo } from 'node:net'
import proxy from '@fastify/http-proxy'
import fastify from 'fastify'
import type { ConfigInput } from '../../config/index.ts'
import { startBenchGateway } from './gateway.ts'

/** One of the servers that the forward bench compares, in a process of its own; it prints its port. */
const job = JSON.parse(process.env.BENCH_JOB!) as {
  /** A gateway of the region, or a plain proxy. */
  readonly kind: 'us' | 'eu' | 'fastify'
  readonly upstream: string
  readonly input: ConfigInput
  readonly env: Record<string, string>
}

async function start(): Promise<number> {
  if (job.kind === 'fastify') {
    const app = fastify()
    await app.register(proxy, { upstream: job.upstream })
    await app.listen({ port: 0, host: '127.0.0.1' })
    return (app.server.address() as AddressInfo).port
  }
  return startBenchGateway(job.kind, job)
}

console.log(await start())
process.stdin.on('end', () => process.exit(0)).resume()
