import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { CliError } from './failure.ts'

export interface AdminAddress {
  readonly url: string
  readonly token: string
}

export interface AdminAddressSources {
  /** From a flag or the environment. */
  readonly url: string | undefined
  readonly token: string | undefined
  /** The folder of a local system, whose `demo.json` has both. */
  readonly state: string
}

/** Where the admin API is and what opens it: flag, environment, then the local system's `demo.json`. */
export async function adminAddress({ url, token, state }: AdminAddressSources): Promise<AdminAddress> {
  if (url !== undefined && token !== undefined) return { url: checked(url), token }
  // The token of a local system is for that system; it is never sent to an address that somebody named.
  if (url !== undefined) throw incomplete('the admin token', '--admin-token or INNKEEPER_ADMIN_TOKEN')
  const local = await demoFile(join(state, 'demo.json'))
  if (local === null) throw notRunning(join(state, 'demo.json'))
  return { url: checked(local.adminUrl), token: token ?? local.adminToken }
}

async function demoFile(path: string): Promise<{ adminUrl: string; adminToken: string } | null> {
  let text: string
  try {
    text = await readFile(path, 'utf8')
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException
    if (code === 'ENOENT') return null
    throw new CliError(`${path} cannot be read (${code})`, {
      hint: 'Run it as the user who started the system.',
      cause,
    })
  }
  try {
    const { adminUrl, adminToken } = JSON.parse(text) as Record<string, unknown>
    if (typeof adminUrl === 'string' && typeof adminToken === 'string') return { adminUrl, adminToken }
    throw new Error('adminUrl and adminToken are not there')
  } catch (cause) {
    const hint = 'Start the system again: npm start.'
    throw new CliError(`${path} is damaged: ${(cause as Error).message}`, { hint, cause })
  }
}

function checked(url: string): string {
  if (URL.canParse(url) && /^https?:$/.test(new URL(url).protocol)) return url.replace(/\/+$/, '')
  throw new CliError(`"${url}" is not the URL of an admin API`, {
    code: 'invalid_request',
    hint: 'Write it as http://127.0.0.1:9090.',
  })
}

function incomplete(what: string, where: string): CliError {
  return new CliError(`${what} is missing`, { code: 'unauthenticated', hint: `Give it by ${where}.` })
}

function notRunning(path: string): CliError {
  return new CliError(`it is not known where the control plane is: there is no ${path}`, {
    code: 'directory_unavailable',
    hint: 'Start a local system (npm start), name its --state folder, or give --admin-url and --admin-token.',
  })
}
