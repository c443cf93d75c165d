/**
 * The errors of the wire protocol, by name. An `error` frame carries the name as `code` beside the words in `error`; the words
 * that CONTRACTS.md fixes are fixed here.
 */

/** Frames that are no requests: answered, and the stream goes on. */
const malformed = {
  empty_frame: "a frame of length 0",
  not_json: "not JSON in UTF-8",
  too_deep: "nested too deep",
  unknown_type: "unknown message type",
  bad_request: "bad request",
  too_large: "payload too large",
  not_negotiated: "binary frames go only to peers that asked for them in hello",
  late_hello: "hello is the first frame, and comes once"
} as const

/** What a broker refuses. */
const refused = {
  fenced: "fenced",
  sequence_gap: "sequence gap",
  log_full: "log full",
  log_failed: "log failed",
  subscriber_not_found: "subscriber not found",
  not_subscribed: "no subscription of this connection has this message outstanding",
  taken_over: "another connection subscribed under this id",
  too_many_checkpoints: "as many subscribers as there may be have a checkpoint",
  beyond_delivered: "was not delivered yet",
  not_outstanding: "is not outstanding",
  too_many_ahead: "too many messages are acknowledged ahead of one that is not",
  set_checkpoint_refused: "the checkpoint can't be set"
} as const

/** Limits of a connection. All but the last two close it. */
const limits = {
  frame_too_long: "frame too long",
  too_many_connections: "too many connections",
  unauthorized: "a hello with the token comes first",
  idle: "idle for too long",
  write_stalled: "nothing was read for too long",
  too_many_pending_bytes: "too many bytes pending on all connections",
  unavailable: "the broker is not available",
  too_many_subscriptions: "too many subscriptions on this connection",
  too_many_producers: "too many producers on this connection"
} as const

export const wireErrors = { ...malformed, ...refused, ...limits }
export type WireErrorCode = keyof typeof wireErrors
