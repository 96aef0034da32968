import { readFile } from 'node:fs/promises'
import { type SignedDocument, verify } from '../../tiers/control/signed-document.ts'
import { InnkeeperError } from '../../tiers/errors.ts'

/** A document that was signed, or could not be because there was no key. */
export interface SignedFile<Document> {
  readonly document: Document
  readonly signature: string | null
  readonly keyId: string | null
}

/** @throws InnkeeperError `not_found`, `invalid_request` */
export async function readSigned<Document>(file: string, hint: string): Promise<SignedFile<Document>> {
  try {
    return JSON.parse(await readFile(file, 'utf8')) as SignedFile<Document>
  } catch (cause) {
    const isMissing = (cause as { code?: string }).code === 'ENOENT'
    const details = (cause as Error).message
    throw new InnkeeperError(isMissing ? 'not_found' : 'invalid_request', `${file} cannot be read`, {
      cause,
      details,
      hint,
    })
  }
}

/**
 * What is wrong with it, by the file alone.
 * @param kind what the document has to say that it is
 * @param key  that must have signed it; any where left out
 */
export function faultOf(found: SignedFile<{ kind?: unknown }>, kind: string, key: string | undefined): string | null {
  if (found?.document?.kind !== kind) return `it is no ${kind.replace(/^innkeeper /, '')}`
  if (found.signature === null) return 'it is not signed'
  if (!verify(found as SignedDocument)) return 'its text is not what was signed'
  return key !== undefined && found.keyId !== key ? `it was signed by another key: ${found.keyId}` : null
}
