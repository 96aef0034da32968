import { X509Certificate } from 'node:crypto'
import { readFileSync } from 'node:fs'

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
