import { X509Certificate } from 'node:crypto'
import { readFileSync } from 'node:fs'
import type { ConfigFault } from './resolve.ts'
import type { ParsedConfig } from './shape.ts'

/** How a link to a server is protected. */
export interface TlsSettings {
  readonly tls: 'off' | 'verify-full'
  /** The authorities whose certificates are believed, as PEM; null for those that the runtime brings. */
  readonly ca: string | null
}

/** What a listener of our own proves itself with, as PEM. */
export interface TlsIdentity {
  readonly cert: string
  readonly key: string
}

/** @returns the text of a PEM file, or what is wrong with it */
export function readPem(path: string, kind: 'certificate' | 'key'): { pem: string } | { fault: string } {
  let pem: string
  try {
    pem = readFileSync(path, 'utf8')
  } catch (error) {
    return { fault: `${path} cannot be read (${(error as NodeJS.ErrnoException).code})` }
  }
  if (kind === 'key')
    return /-----BEGIN [A-Z ]*PRIVATE KEY-----/.test(pem) ? { pem } : { fault: `${path} holds no key` }
  try {
    new X509Certificate(pem)
    return { pem }
  } catch {
    return { fault: `${path} holds no certificate in PEM` }
  }
}

/** Reads a file that the configuration names, and notes what is wrong with it as a fault of that place. */
export type ReadPem = (where: string, path: string | undefined, kind?: 'certificate' | 'key') => string | null

export function readIdentity(
  where: string,
  files: { readonly certFile: string; readonly keyFile: string } | undefined,
  pem: ReadPem,
): TlsIdentity | null {
  if (files === undefined) return null
  const cert = pem(`${where}.certFile`, files.certFile)
  const key = pem(`${where}.keyFile`, files.keyFile, 'key')
  return cert === null || key === null ? null : { cert, key }
}

/** Who names an authority means a link that is verified: one that stays in clear would be a surprise. */
export function tlsFaults({ control, regions, jwt, telemetry }: ParsedConfig): ConfigFault[] {
  const faults: ConfigFault[] = []
  const check = (where: string, caFile: string | undefined, isVerified: boolean, fix: string) => {
    if (caFile !== undefined && !isVerified) faults.push({ where, what: `has no effect on a link in clear; ${fix}` })
  }
  const isHttps = (url: string | undefined) => url?.startsWith('https:') === true
  const setTls = "set tls: 'verify-full'"
  check('control.caFile', control.caFile, control.tls === 'verify-full', setTls)
  for (const [name, { clusters, peerUrl, url, peerCaFile }] of Object.entries(regions)) {
    check(`regions.${name}.peerCaFile`, peerCaFile, isHttps(peerUrl ?? url), 'write peerUrl with https:')
    for (const [cluster, { caFile, tls }] of Object.entries(clusters)) {
      check(`regions.${name}.clusters.${cluster}.caFile`, caFile, tls === 'verify-full', setTls)
    }
  }
  for (const [i, { caFile, jwksUrl }] of jwt.entries()) {
    check(`jwt.${i}.caFile`, caFile, isHttps(jwksUrl), 'write jwksUrl with https:')
  }
  check('telemetry.caFile', telemetry.caFile, isHttps(telemetry.otlpUrl), 'write otlpUrl with https:')
  return faults
}
