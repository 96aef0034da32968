import { fileURLToPath } from 'node:url'
import type { ConfigInput } from '../../config/index.ts'
import { resolveConfig } from '../../config/index.ts'
import { type ControlPlane, openControlPlane } from '../../tiers/control/control-plane.ts'
import { QUICK } from '../move/support/two-clusters.ts'
import { startTestSystem, type TestSystem, type TestSystemOptions } from '../support/system.ts'

export type Profiles = NonNullable<ConfigInput['residency']>['profiles']

export const PROFILES = {
  gdpr: { regions: ['eu'], retentionDays: 90 },
  strict: { regions: ['us'], isolation: ['database'], encryption: 'required', audit: 'access' },
  paid: { regions: ['us', 'eu'], tiers: ['pro', 'enterprise'] },
} as const

/** Both regions, with a profile each way. */
export function startResidencySystem(options: Partial<TestSystemOptions> = {}): Promise<TestSystem> {
  const { configure = (i) => i, ...rest } = options
  return startTestSystem({
    regions: ['us', 'eu'],
    moveSettings: QUICK,
    ...rest,
    configure: (input) => configure(withProfiles(input, PROFILES as never)),
  })
}

export const withProfiles = (input: ConfigInput, profiles: Profiles): ConfigInput => ({
  ...input,
  residency: { profiles },
})

/** Another control plane over the same databases, as one that is started with a changed configuration. */
export async function reconfigured(
  system: TestSystem,
  change: (input: ConfigInput) => ConfigInput,
): Promise<ControlPlane> {
  const migrationsFolder = fileURLToPath(new URL('../../config/migrations/', import.meta.url))
  const config = resolveConfig(change(system.input), { kind: 'control' }, system.env)
  const control = openControlPlane({ config, migrationsFolder, moveSettings: QUICK })
  await control.install()
  return control
}
