import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import type { ConfigInput } from '../../../config/index.ts'
import { loadProduct } from '../../../gateway/product.ts'
import { type RunningGateway, startGateway } from '../../../gateway/serve.ts'
import routes from './load-routes.ts'

export interface LoadGatewayOptions {
  readonly input: ConfigInput
  readonly env: Readonly<Record<string, string>>
  readonly port?: number
}

/** A gateway of `us` in this process, with the endpoints of a load. */
export async function startLoadGateway({ input, env, port = 0 }: LoadGatewayOptions): Promise<RunningGateway> {
  const product = await loadProduct(null)
  return startGateway({
    configFolder: null,
    region: 'us',
    port,
    host: '127.0.0.1',
    env,
    product: { ...product, config: input, routes: routes as never },
    logTo: { write() {} },
  })
}

export interface GatewayProcess {
  readonly url: string
  /** SIGSTOP, SIGCONT. */
  signal(name: NodeJS.Signals): void
  /** Kills it the hard way, and waits for its end. */
  kill(): Promise<void>
  /** Another one, on the same port. */
  restart(): Promise<void>
}

const CHILD = fileURLToPath(new URL('./gateway-child.ts', import.meta.url))

/** {@link startLoadGateway} in a process of its own, which does not outlive this one. */
export async function spawnLoadGateway({ input, env }: LoadGatewayOptions): Promise<GatewayProcess> {
  const launch = async (port: number) => {
    const child = spawn(process.execPath, [CHILD, JSON.stringify({ input, env, port })], {
      stdio: ['pipe', 'pipe', 'inherit'],
    })
    const line = once(createInterface(child.stdout), 'line')
    const ended = once(child, 'exit').then(() => Promise.reject(new Error('the gateway ended instead of starting')))
    const [url] = (await Promise.race([line, ended])) as [string]
    ended.catch(() => {})
    return { child, url }
  }
  let { child, url } = await launch(0)
  const kill = async () => {
    if (child.exitCode !== null || child.signalCode !== null) return
    const exited = once(child, 'exit')
    child.kill('SIGKILL')
    await exited
  }
  return {
    get url() {
      return url
    },
    signal: (name) => void child.kill(name),
    kill,
    async restart() {
      await kill()
      ;({ child, url } = await launch(Number(new URL(url).port)))
    },
  }
}
