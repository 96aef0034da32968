import type { ErrorCode } from '../../tiers/errors.ts'

/** What an error code means, and what whoever meets it does. Words between backticks are to be read as they stand. */
export interface ErrorWords {
  readonly meaning: string
  readonly toDo: string
}

/** Of every code: for the page that a problem's `type` leads to. The README has the same words, and a test compares them. */
export const ERROR_WORDS: Readonly<Record<ErrorCode, ErrorWords>> = {
  unauthenticated: {
    meaning:
      'No credential, or one that proves nothing: a key that does not exist, was revoked or has expired; a JWT that is expired, from another issuer, for another audience, or signed by an algorithm that is not allowed.',
    toDo: 'Is `apikey` or `Authorization: Bearer` sent, once? `innkeeper keys list TENANT` shows whether the key is good. For a JWT compare `iss`, `aud`, `exp` with `jwt[]` in the configuration.',
  },
  forbidden: {
    meaning:
      "The credential is good and lacks the right: a `read` key that writes, or a statement that a tenant's room does not take (anything but SELECT, INSERT, UPDATE, DELETE, MERGE).",
    toDo: "Make a key with the scope `write`; put settings and transactions into the interface's options.",
  },
  tenant_mismatch: {
    meaning: 'Two identifiers of one request name different tenants: the path one, the key another.',
    toDo: "Use the tenant's own key at the tenant's own address.",
  },
  tenant_suspended: {
    meaning: 'The tenant was suspended by an operator.',
    toDo: '`innkeeper tenants show TENANT`; `innkeeper tenants resume TENANT`.',
  },
  residency_violation: {
    meaning:
      'A change, a move, a backup or a support session would break what the tenant is kept to: its residency profile, or the regions it is pinned to. Nothing was done.',
    toDo: '`details` names everything that is in the way. Choose another region, tier or cluster; or let compliance change the profile: `innkeeper residency set`.',
  },
  tenant_not_found: {
    meaning: 'Nothing is known by that slug, id or domain.',
    toDo: 'Check the spelling; a new custom domain is added with `innkeeper domains add`.',
  },
  tenant_gone: {
    meaning: 'The tenant was offboarded; its data is gone.',
    toDo: 'Nothing brings it back.',
  },
  invalid_request: {
    meaning: 'Something in the request is malformed. `field` names it, `details` says what was found.',
    toDo: 'Correct the field.',
  },
  not_found: {
    meaning: 'No such endpoint, or no such thing in this tenant.',
    toDo: 'Check the path.',
  },
  method_not_allowed: {
    meaning: 'The endpoint exists, not for this method.',
    toDo: 'See `Allow`.',
  },
  conflict: {
    meaning:
      'The change contradicts what is there: a slug that is taken, an idempotency key used for another request, a transaction that had failed and was committed.',
    toDo: 'Read `details`; read before you repeat.',
  },
  payload_too_large: {
    meaning:
      'The body is larger than the tier allows; or the answer is larger than a gateway will hold (128 MB), alone or, of what may have been a write, beside those that it holds.',
    toDo: 'Send it in parts (`limits.bodyBytesMax`); ask for fewer rows or columns. If it was a write, read before you repeat it.',
  },
  request_timeout: {
    meaning: 'The request took longer to arrive, or to be answered, than `http.requestTimeoutMs`.',
    toDo: 'Repeat it; send smaller parts.',
  },
  client_closed_request: {
    meaning: 'The client went away; its statement was cancelled. Seen in logs only.',
    toDo: "Look at the client's own timeout.",
  },
  rate_limited: {
    meaning:
      'More requests a second, or at once, than the tier allows; or clients of the tenant have not read what a gateway holds of its large answers (128 MB). `Retry-After` and `RateLimit` say when to come back.',
    toDo: 'Wait, or read the answers that are under way; or a larger tier.',
  },
  quota_exceeded: {
    meaning: "The day's quota is used up.",
    toDo: 'Wait until `Retry-After`; or a larger tier.',
  },
  misdirected_region: {
    meaning:
      'The tenant lives in another region, and its policy is `reject`; or a request that was forwarded once came to a region that is not its home either. Nothing of the request was read here but its headers.',
    toDo: 'Send it to `region_url`.',
  },
  tenant_moving: {
    meaning: "The tenant's room is being made or moved and did not open within `pools.movingWaitMs`.",
    toDo: 'Repeat after `Retry-After`. If it stays: `innkeeper tenants show TENANT`, `innkeeper doctor`.',
  },
  overloaded: {
    meaning:
      "No connection to the cluster became free in time, or the tenant's line is full; or a gateway holds too much of all tenants' large answers.",
    toDo: 'Repeat after `Retry-After`. Look for slow statements; raise `connectionsMax` or the tier.',
  },
  cluster_unavailable: {
    meaning:
      "The tenant's database server does not accept connections, ended one before a transaction was committed, or none of its hosts is a primary that takes writes; nothing was changed.",
    toDo: 'Is it up, and reachable from the gateway? The log says of each host what it is. `innkeeper doctor`.',
  },
  region_unavailable: {
    meaning:
      "The tenant's home region did not answer the gateway that forwards to it, or not in time. Nothing was answered from anywhere else.",
    toDo: 'Repeat after `Retry-After`. Is a gateway of that region up, and reachable at `regions.*.peerUrl` from this one? `forwarded_to` in the log names it.',
  },
  directory_unavailable: {
    meaning:
      "The tenant is not in the gateway's cache, or the directory was to be changed, and the control database does not answer.",
    toDo: 'Is the control database up? Tenants that were seen before go on.',
  },
  shutting_down: {
    meaning: 'This gateway is stopping.',
    toDo: 'Repeat: another one answers.',
  },
  statement_timeout: {
    meaning: 'The statement, or the transaction, took longer than the tier allows.',
    toDo: 'Add an index or a filter; `limits.statementTimeoutMs`, `limits.transactionTimeoutMs`.',
  },
  outcome_unknown: {
    meaning: 'The connection was lost before the database answered: the change may have been made.',
    toDo: 'Read before you repeat, or use an idempotent request. What only reads was asked once more already; a change is never repeated for you.',
  },
  migration_refused: {
    meaning:
      'A migration would leave a hole between tenants, or a file was changed after it had been applied. It was rolled back.',
    toDo: '`details` names each object, `hint` the fix.',
  },
  no_tenant: {
    meaning: "Application code asked for a tenant's data outside a tenant's scope.",
    toDo: 'Wrap it in `tenants.scope`, or name the tenant with `tenants.for`.',
  },
  tenant_switch: {
    meaning: "Application code in one tenant's scope asked for another tenant.",
    toDo: 'End the scope first; `withEachTenant` for work over many.',
  },
  invalid_config: {
    meaning: 'The processes do not agree on the configuration, or it lacks something a tenant needs.',
    toDo: 'Give every process the same configuration folder; `innkeeper doctor`.',
  },
  internal: {
    meaning: 'A fault of ours. Nothing about it is in the answer.',
    toDo: 'The log line with the request id (`instance`, `X-Request-Id`) has it.',
  },
}
