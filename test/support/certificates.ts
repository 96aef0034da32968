import { execFile } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { missing } from './program.ts'
import { temporaryFolder } from './temporary.ts'

const run = promisify(execFile)

export interface Certificate {
  readonly certFile: string
  readonly keyFile: string
  readonly cert: string
  readonly key: string
}

/** An authority of a test's own. */
export interface Authority {
  readonly caFile: string
  readonly ca: string
  /** @param names as in a certificate: `DNS:localhost`, `IP:127.0.0.1` */
  issue(...names: string[]): Promise<Certificate>
}

/** @returns null where the machine has no OpenSSL: the caller skips */
export async function makeAuthority(name: string): Promise<Authority | null> {
  const folder = await temporaryFolder('certificates')
  let serial = 0
  const make = async (label: string, ...args: string[]): Promise<Certificate> => {
    const [certFile, keyFile] = [join(folder, `${label}.pem`), join(folder, `${label}.key`)]
    const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-keyout', keyFile]
    await run('openssl', ['req', '-x509', '-days', '2', '-subj', `/CN=${label}`, ...key, '-out', certFile, ...args])
    return { certFile, keyFile, cert: await readFile(certFile, 'utf8'), key: await readFile(keyFile, 'utf8') }
  }
  try {
    const ca = await make(name, '-addext', 'basicConstraints=critical,CA:TRUE')
    return {
      caFile: ca.certFile,
      ca: ca.cert,
      issue(...names) {
        const by = ['-CA', ca.certFile, '-CAkey', ca.keyFile]
        const asLeaf = ['-addext', 'basicConstraints=critical,CA:FALSE', '-addext', `subjectAltName=${names.join(',')}`]
        return make(`${name}-${++serial}`, ...by, ...asLeaf)
      },
    }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return missing('openssl', 'apt-get install openssl')
    throw error
  }
}

/** What a server may show to a client that knows one authority, and whether it may be believed. */
export interface Shown {
  readonly name: string
  /** Null for a server that speaks in clear. */
  readonly certificate: Certificate | null
  readonly isGood: boolean
}

/** @param known the authority that the client knows */
export async function whatServersShow(known: Authority, stranger: Authority): Promise<Shown[]> {
  const here = ['DNS:localhost', 'IP:127.0.0.1']
  return [
    { name: 'its own certificate', certificate: await known.issue(...here), isGood: true },
    { name: 'a certificate for another name', certificate: await known.issue('DNS:other.example'), isGood: false },
    { name: "a stranger's certificate", certificate: await stranger.issue(...here), isGood: false },
    { name: 'no TLS at all', certificate: null, isGood: false },
  ]
}
