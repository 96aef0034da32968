import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { freePort } from '../../gateway/dev/postgres/port.ts'
import { startProgram } from '../support/program.ts'
import { temporaryFolder } from '../support/temporary.ts'

export interface Nginx {
  readonly port: string
  stop(): Promise<void>
}

/** nginx in front of a server, with connections kept to it; null where there is no nginx on the machine. */
export async function startNginx(upstream: string): Promise<Nginx | null> {
  const folder = await temporaryFolder('nginx')
  const port = await freePort()
  const file = join(folder, 'nginx.conf')
  await writeFile(file, configOf(folder, port, new URL(upstream).host))
  const program = await startProgram('nginx', ['-p', folder, '-c', file], port, folder)
  return program === null ? null : { port: String(port), stop: () => program.stop() }
}

/** One worker, as a gateway is one process; in the foreground and in its own folder, so that it leaves nothing. */
function configOf(folder: string, port: number, upstream: string): string {
  return `
daemon off; master_process off; pid ${folder}/pid; error_log stderr;
events { worker_connections 512; }
http {
  access_log off; keepalive_requests 1000000000;
  client_body_temp_path ${folder}/body; proxy_temp_path ${folder}/proxy; fastcgi_temp_path ${folder}/fastcgi;
  uwsgi_temp_path ${folder}/uwsgi; scgi_temp_path ${folder}/scgi;
  upstream home { server ${upstream}; keepalive 64; keepalive_requests 1000000000; }
  server {
    listen 127.0.0.1:${port};
    location / { proxy_pass http://home; proxy_http_version 1.1; proxy_set_header Connection ""; }
  }
}`
}
