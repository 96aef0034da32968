import type { ConfigInput } from '../../config/index.ts'
import * as schema from '../../config/schema.ts'
import { startGateway } from '../../gateway/serve.ts'
import { appRoutesFor } from './http-routes.ts'

/** A gateway with the benches' own routes, which says nothing. @returns its port */
export async function startBenchGateway(
  region: string,
  { input, env }: { readonly input: ConfigInput; readonly env: Record<string, string> },
): Promise<number> {
  const gateway = await startGateway({
    configFolder: null,
    region,
    port: 0,
    host: '127.0.0.1',
    env,
    logTo: { write: () => {} },
    product: {
      folder: '',
      config: input,
      schema,
      references: [],
      routes: appRoutesFor(),
      migrationsFolder: '',
      isDemo: false,
    },
  })
  return Number(new URL(gateway.url).port)
}
