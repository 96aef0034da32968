import type { ParsedConfig } from '../../config/shape.ts'

/** Of a configuration, what a local system has: its servers are on this machine and speak in clear. */
export function withoutTls(config: ParsedConfig): ParsedConfig {
  const { caFile: _ca, ...control } = config.control
  const { tls: _admin, ...admin } = config.admin
  const { tls: _http, ...http } = config.http
  const regions = Object.entries(config.regions).map(([name, region]) => {
    const { caFile: _region, peerCaFile: _peer, ...rest } = region
    const clusters = Object.entries(region.clusters).map(([cluster, { caFile: _cluster, ...own }]) => [
      cluster,
      { ...own, tls: 'off' as const },
    ])
    return [name, { ...rest, clusters: Object.fromEntries(clusters) }]
  })
  return { ...config, control: { ...control, tls: 'off' }, admin, http, regions: Object.fromEntries(regions) }
}
