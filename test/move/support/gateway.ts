import { loadProduct } from '../../../gateway/product.ts'
import { type RunningGateway, startGateway } from '../../../gateway/serve.ts'
import type { TestSystem } from '../../support/system.ts'
import routes from './load-routes.ts'

/** A gateway of `us` in this process, with the endpoints of a load. */
export async function startLoadGateway({ input, env }: Pick<TestSystem, 'input' | 'env'>): Promise<RunningGateway> {
  const product = await loadProduct(null)
  return startGateway({
    configFolder: null,
    region: 'us',
    port: 0,
    host: '127.0.0.1',
    env,
    product: { ...product, config: input, routes: routes as never },
    logTo: { write() {} },
  })
}
