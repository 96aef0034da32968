/** A customer of the demo's help desk. */
export interface DemoTenant {
  readonly slug: string
  readonly name: string
  readonly tier: 'free' | 'pro' | 'enterprise'
  readonly region: 'eu' | 'us'
  /** Its tier's where left out. */
  readonly away?: 'reject'
  /** What it is kept to. */
  readonly profile?: 'gdpr'
}

/** One for each pair of tier and region. */
export const DEMO_TENANTS: readonly DemoTenant[] = [
  { slug: 'acme', name: 'Acme', tier: 'free', region: 'us' },
  { slug: 'umbrella', name: 'Umbrella', tier: 'free', region: 'eu', away: 'reject', profile: 'gdpr' },
  { slug: 'globex', name: 'Globex', tier: 'pro', region: 'eu' },
  { slug: 'hooli', name: 'Hooli', tier: 'pro', region: 'us' },
  { slug: 'initech', name: 'Initech', tier: 'enterprise', region: 'us' },
  { slug: 'stark', name: 'Stark', tier: 'enterprise', region: 'eu' },
]
