import { InnkeeperError } from '../../tiers/errors.ts'
import type { ApiKey, KeyVerifier } from '../../tiers/keys/types.ts'
import type { Credential } from './credential.ts'

/**
 * Verifies the key at its home. Wrong, expired and revoked are one answer: which of them it is helps only a guesser.
 * @throws InnkeeperError `unauthenticated`
 */
export async function verifyKey(keys: KeyVerifier, key: NonNullable<Credential['key']>): Promise<ApiKey> {
  const record = await keys.verify(key.text, key.tenantId)
  if (record === null || record.tenantId !== key.tenantId) throw badKey()
  return record
}

export function badKey(): InnkeeperError {
  return new InnkeeperError('unauthenticated', 'The API key is not valid', {
    details: 'it is unknown, has expired or was revoked',
  })
}
