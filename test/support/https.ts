import { createServer as createPlain, type RequestListener } from 'node:http'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import type { Certificate } from './certificates.ts'

export interface TestHttps {
  readonly port: number
  close(): Promise<void>
}

/** A server that shows a certificate, or speaks in clear. */
export async function startHttps(certificate: Certificate | null, listener: RequestListener): Promise<TestHttps> {
  const server = certificate === null ? createPlain(listener) : createServer({ ...certificate }, listener)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    port: (server.address() as AddressInfo).port,
    async close() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}
