import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { runCli } from '../support/cli.ts'

/** Begins to answer, and dies. */
const dying = createServer((request, response) => {
  request.resume()
  response.write('{"type":"progress","done":1,"total":3,"failed":0,"room":"us-1/innkeeper_shared/app"}\n')
  response.write('{"type":', () => response.destroy())
})
/** Not ours at all. */
const other = createServer((_, response) => response.end('<html>\n</html>\n'))
beforeAll(() => Promise.all([dying, other].map((server) => once(server.listen(0, '127.0.0.1'), 'listening'))))
afterAll(() => {
  for (const server of [dying, other]) server.close()
})

const run = (server: typeof dying, command: string) =>
  runCli(command.split(' '), {
    env: {
      INNKEEPER_ADMIN_URL: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
      INNKEEPER_ADMIN_TOKEN: 'x',
    },
  })

test.each(['migrate', 'tenants list', 'doctor'])(
  '%s says that the control plane went away while it answered, and that it is to be tried again',
  async (command) => {
    expect(await run(dying, command)).toMatchObject({ code: 5, err: expect.stringContaining('does not answer') })
    expect(await run(other, command)).toMatchObject({ code: 1, err: expect.stringContaining('is not an admin API') })
  },
)
