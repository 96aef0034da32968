import { chmod, mkdtemp } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** A new folder that other users can enter but not list: servers run as another user where the tests run as root. */
export async function temporaryFolder(purpose: string): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), `innkeeper-test-${purpose}-`))
  await chmod(path, 0o711)
  return path
}
