import { InnkeeperError } from '../../tiers/errors.ts'

/**
 * Imports one file of a product.
 *
 * @param file its path, for messages
 * @param url  what to import
 * @throws InnkeeperError `invalid_config`: what is wrong, in which file, and what to do
 */
export async function loadModule(file: string, url: string): Promise<Record<string, unknown>> {
  try {
    return (await import(/* @vite-ignore */ url)) as Record<string, unknown>
  } catch (error) {
    const cause = error as NodeJS.ErrnoException
    throw new InnkeeperError('invalid_config', `${file} cannot be loaded: ${firstLine(cause.message)}`, {
      ...place(cause, file),
      hint: hintFor(cause),
      cause,
    })
  }
}

function hintFor({ code, name }: NodeJS.ErrnoException): string {
  switch (code) {
    case 'ERR_MODULE_NOT_FOUND':
      return 'Install the package in the folder, or correct the path; relative imports carry their extension (.ts).'
    case 'ERR_PACKAGE_PATH_NOT_EXPORTED':
      return 'Import what the package exports: innkeeper, or innkeeper/config.'
    case 'ERR_UNSUPPORTED_TYPESCRIPT_SYNTAX':
      return 'Node strips types and does no more: use no enum, namespace or parameter property.'
    default:
      return name === 'SyntaxError' ? 'Correct the syntax there.' : 'Correct what it runs when it is loaded.'
  }
}

/** Where it happened, when that is another file or a line: a stack of an error at loading begins with it. */
function place({ stack = '' }: Error, file: string): { details?: string } {
  const found = /(?:file:\/\/)?(\/[^\s()?]+)(?:\?[\w=]+)?(:\d+(?::\d+)?)/.exec(stack)
  if (found === null || found[1]!.includes('/node_modules/')) return {}
  return { details: found[1] === file ? `at line ${found[2]!.slice(1)}` : `at ${found[1]}${found[2]}` }
}

const firstLine = (text: string) => text.split('\n', 1)[0]!
