import { connect, createServer, type Socket } from 'node:net'

/**
 * A network with a constant delay each way: what arrives is passed on that much later, in its order, as much as comes.
 * Run as a program of its own, so that its work is not the measured process's: `node delay-proxy.ts PORT DELAY_MS` prints
 * the port that it listens on.
 */
const [target, delayMs] = process.argv.slice(2).map(Number) as [number, number]

const server = createServer((near) => {
  const far = connect(target, '127.0.0.1')
  for (const socket of [near, far]) socket.setNoDelay(true)
  pass(near, far)
  pass(far, near)
})
server.listen(0, '127.0.0.1', () => console.log((server.address() as { port: number }).port))
// It ends with whoever started it.
process.stdin.on('end', () => process.exit(0)).resume()

function pass(from: Socket, to: Socket): void {
  // Timers of one duration fire in the order in which they were set.
  from.on('data', (chunk) => setTimeout(() => to.write(chunk), delayMs))
  from.on('close', () => setTimeout(() => to.destroy(), delayMs))
  from.on('error', () => from.destroy())
}
