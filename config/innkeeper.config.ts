import { defineConfig } from './define.ts'
import { secret } from './secret.ts'

export default defineConfig({
  control: {
    url: secret('INNKEEPER_CONTROL_URL'),
    readUrl: secret('INNKEEPER_DIRECTORY_URL'),
    signingKey: secret('INNKEEPER_SIGNING_KEY'),
  },
  regions: {
    us: {
      url: 'http://localhost:8080',
      key: secret('INNKEEPER_US_KEY'),
      peering: {
        key: secret('INNKEEPER_US_PEERING_KEY'),
        publicKeys: [secret('INNKEEPER_US_PEERING_PUBLIC_KEY')],
      },
      clusters: {
        'us-1': { url: secret('INNKEEPER_US_1_URL'), adminUrl: secret('INNKEEPER_US_1_ADMIN_URL') },
      },
    },
    eu: {
      url: 'http://localhost:8081',
      key: secret('INNKEEPER_EU_KEY'),
      peering: {
        key: secret('INNKEEPER_EU_PEERING_KEY'),
        publicKeys: [secret('INNKEEPER_EU_PEERING_PUBLIC_KEY')],
      },
      clusters: {
        'eu-1': { url: secret('INNKEEPER_EU_1_URL'), adminUrl: secret('INNKEEPER_EU_1_ADMIN_URL') },
      },
    },
  },
  // Examples. Which regions satisfy a law, and what else it asks for, is for counsel to say.
  residency: {
    profiles: {
      gdpr: { regions: ['eu'], retentionDays: 90 },
      lgpd: { regions: ['eu'], retentionDays: 180, audit: 'access' },
      hipaa: { regions: ['us'], isolation: ['database'], encryption: 'required', audit: 'access' },
    },
  },
  tiers: {
    free: {
      isolation: 'shared',
      away: 'forward',
      limits: { requestsPerSecond: 50, burst: 100, concurrency: 10, connectionsMax: 4, statementTimeoutMs: 5_000 },
    },
    pro: {
      isolation: 'schema',
      away: 'redirect',
      limits: { requestsPerSecond: 500, burst: 1_000, concurrency: 50, rowsMax: 5_000 },
    },
    enterprise: {
      isolation: 'database',
      limits: {
        requestsPerSecond: 5_000,
        burst: 10_000,
        concurrency: 200,
        connectionsMax: 20,
        rowsMax: 10_000,
        statementTimeoutMs: 60_000,
      },
    },
  },
})
