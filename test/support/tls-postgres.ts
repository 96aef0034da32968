import { chown, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Certificate } from './certificates.ts'
import { startTestPostgres, type TestPostgres } from './postgres.ts'
import { one } from './replicated.ts'
import { waitUntil } from './wait.ts'

export interface TlsPostgres extends TestPostgres {
  /** What it shows from now on; null for no TLS. */
  show(certificate: Certificate | null): Promise<void>
  /** From now on it lets nobody in who speaks in clear. */
  refusePlain(): Promise<void>
}

/** A server that speaks TLS, and can be told what to show. */
export async function startTlsPostgres(): Promise<TlsPostgres> {
  const { server, stop } = await startTestPostgres()
  const url = server.url()
  const data = String(await one(url, 'show data_directory'))
  const { uid, gid } = await stat(data)
  let shown = 0
  const put = async (name: string, text: string) => {
    const path = join(data, name)
    await writeFile(path, text, { mode: 0o600 })
    await chown(path, uid, gid)
    return path
  }
  const reload = () => one(url, 'select pg_reload_conf()')
  return {
    server,
    stop,
    async show(certificate) {
      const settings: Record<string, string> = { ssl: certificate === null ? 'off' : 'on' }
      if (certificate !== null) {
        const n = ++shown
        settings.ssl_cert_file = await put(`shown-${n}.pem`, certificate.cert)
        settings.ssl_key_file = await put(`shown-${n}.key`, certificate.key)
      }
      for (const [name, value] of Object.entries(settings)) await one(url, `alter system set ${name} = '${value}'`)
      await reload()
      await waitUntil('the certificate to be shown', async () => {
        const now = await one(url, `select current_setting('ssl') || current_setting('ssl_cert_file')`)
        return now === settings.ssl + (settings.ssl_cert_file ?? String(now).replace(/^(on|off)/, ''))
      })
    },
    async refusePlain() {
      const hba = String(await one(url, 'show hba_file'))
      await writeFile(hba, (await readFile(hba, 'utf8')).replaceAll(/^host\s/gm, 'hostssl '))
      await reload()
      await waitUntil('plain connections to be refused', () =>
        one(url, 'select 1').then(
          () => false,
          () => true,
        ),
      )
    },
  }
}
