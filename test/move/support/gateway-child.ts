import { startLoadGateway } from './gateway.ts'

/** A gateway in a process of its own, to be killed or stopped. Given as JSON: the configuration, its secrets, the port. */
const gateway = await startLoadGateway(JSON.parse(process.argv[2]!))
console.log(gateway.url)
// It ends with whoever started it.
process.stdin.on('end', () => process.exit(0)).resume()
