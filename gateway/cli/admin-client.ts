import { type AdminAddressSources, adminAddress } from './admin-address.ts'
import { CliError } from './failure.ts'

export interface AdminRequest {
  readonly body?: unknown
  readonly headers?: Readonly<Record<string, string>>
  /** Why, for the log. */
  readonly reason?: string | undefined
}

/** The admin API as the commands use it. */
export interface AdminClient {
  readonly url: string
  /** @throws CliError with the API's own message and hint */
  call<T>(method: string, path: string, request?: AdminRequest): Promise<T>
  /** The lines of an answer that comes bit by bit. */
  lines<T>(method: string, path: string, request?: AdminRequest): AsyncGenerator<T>
}

/** A part of a path: nothing in it can become another path. */
export const segment = (text: string) => encodeURIComponent(text)

export async function adminClient(sources: AdminAddressSources): Promise<AdminClient> {
  const { url, token } = await adminAddress(sources)

  const send = async (method: string, path: string, accept: string, { body, headers, reason }: AdminRequest) => {
    let response: Response
    try {
      response = await fetch(`${url}/admin/v1${path}`, {
        method,
        // A token is not carried to wherever a redirect points.
        redirect: 'error',
        headers: {
          accept,
          authorization: `Bearer ${token}`,
          ...(body === undefined ? {} : { 'content-type': 'application/json' }),
          // A header holds no line breaks and no letters beyond Latin-1.
          ...(reason === undefined ? {} : { 'x-reason': encodeURIComponent(reason) }),
          ...headers,
        },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      })
    } catch (cause) {
      throw unanswered(url, cause)
    }
    if (!response.ok) throw await failureOf(response, url)
    return response
  }

  return {
    url,
    async call<T>(method: string, path: string, request: AdminRequest = {}) {
      const response = await send(method, path, 'application/json', request)
      const text = await response.text().catch((cause: unknown) => {
        throw unanswered(url, cause)
      })
      try {
        return JSON.parse(text) as T
      } catch (cause) {
        throw notAnAdminApi(response, url, cause)
      }
    },
    async *lines<T>(method: string, path: string, request: AdminRequest = {}) {
      const response = await send(method, path, 'application/x-ndjson', request)
      let rest = ''
      try {
        for await (const chunk of response.body!.pipeThrough(new TextDecoderStream())) {
          const lines = (rest + chunk).split('\n')
          rest = lines.pop()!
          for (const line of lines) if (line !== '') yield JSON.parse(line) as T
        }
      } catch (cause) {
        throw cause instanceof SyntaxError ? notAnAdminApi(response, url, cause) : unanswered(url, cause)
      }
    },
  }
}

/** Also for an answer that was cut off: nobody knows how it would have ended. */
function unanswered(url: string, cause: unknown): CliError {
  return new CliError(`the admin API at ${url} does not answer`, {
    code: 'directory_unavailable',
    hint: 'Check that the control plane runs (npm start, or innkeeper control) and that the address is right.',
    details: (cause as { cause?: Error }).cause?.message,
    cause,
  })
}

function notAnAdminApi({ status }: Response, url: string, cause?: unknown): CliError {
  return new CliError(`${url} answered ${status} and is not an admin API`, {
    hint: 'Give the address of the control plane, not of a gateway.',
    cause,
  })
}

async function failureOf(response: Response, url: string): Promise<CliError> {
  const text = await response.text()
  let problem: Record<string, unknown> = {}
  try {
    problem = JSON.parse(text) as Record<string, unknown>
  } catch {
    // Whoever answers without a problem document is not the admin API; said below.
  }
  if (typeof problem.code !== 'string') {
    return notAnAdminApi(response, url)
  }
  const field = typeof problem.field === 'string' ? `${problem.field}: ` : ''
  return new CliError(String(problem.message), {
    code: problem.code,
    details: problem.details ? field + String(problem.details) : undefined,
    hint: problem.hint ? String(problem.hint) : undefined,
  })
}
