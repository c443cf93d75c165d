/**
 * What a client sends (CONTRACTS.md, Wire protocol): one JSON object per frame, from a peer of any age.
 *
 * `payload` is never decoded: it is proven to be JSON, and passed on as its bytes. A `correlation_id`, any JSON value, is
 * carried as the latin1 text of its bytes, which an answer repeats; `""` where there is none.
 */
/** The version of the protocol that peers of ours speak. */
export const protocolVersion = 1

interface Correlated {
  readonly correlation: string
}

/** The first frame of a connection, where it is used. */
export interface HelloRequest extends Correlated {
  readonly type: "hello"
  readonly version: number
  readonly token: string | undefined
  /** Unacknowledged messages, and their bytes, that each subscription takes; `undefined` where it does not say. */
  readonly maxInFlight: number | undefined
  readonly maxInFlightBytes: number | undefined
  readonly producerId: string | undefined
  /** It reads and writes the frames of BinaryFrames.ts. */
  readonly binary: boolean
}

export interface PublishRequest extends Correlated {
  readonly type: "publish"
  readonly payload: Uint8Array
  readonly producerId: string | undefined
  readonly sequence: number | undefined
  readonly position: string | undefined
}

export interface SubscribeRequest extends Correlated {
  readonly type: "subscribe"
  readonly subscriberId: string
  /** -2 earliest, -1 latest, else that offset. */
  readonly offset: number
  readonly resume: boolean
  readonly maxInFlight: number | undefined
  readonly maxInFlightBytes: number | undefined
}

export interface UnsubscribeRequest extends Correlated {
  readonly type: "unsubscribe"
  readonly subscriberId: string
}

/** Offsets from one up to but not with another. */
export type OffsetRange = readonly [from: number, to: number]

export interface AckRequest extends Correlated {
  readonly type: "ack"
  readonly subscriberId: string | undefined
  /** One message (`message_id`), or many (`ranges`, ours). */
  readonly ranges: ReadonlyArray<OffsetRange>
}

export interface NackRequest extends Correlated {
  readonly type: "nack"
  readonly subscriberId: string | undefined
  readonly offset: number
}

export interface CommitRequest extends Correlated {
  readonly type: "commit"
  readonly subscriberId: string
  readonly offset: number
}

/** Moves a subscriber's checkpoint, for operators: to an offset (-2 earliest, -1 latest), or to a time. */
export interface SetOffsetRequest extends Correlated {
  readonly type: "set_offset"
  readonly subscriberId: string
  readonly to: { readonly offset: number } | { readonly time: string }
}

export interface PlainRequest extends Correlated {
  readonly type: "ping" | "get_stats"
}

export type Request =
  | HelloRequest
  | PublishRequest
  | SubscribeRequest
  | UnsubscribeRequest
  | AckRequest
  | NackRequest
  | CommitRequest
  | SetOffsetRequest
  | PlainRequest

/** The body of a request, as our own clients send it. */
export const encodeRequest = (request: Request): Uint8Array => {
  const fields = Buffer.from(JSON.stringify({ type: request.type, ...fieldsOf(request) }).slice(0, -1))
  const { correlation } = request
  const repeated = Buffer.from(correlation === "" ? "" : `,"correlation_id":${correlation}`, "latin1")
  const parts: Array<Uint8Array> = [fields, repeated]
  if (request.type === "publish") parts.push(Buffer.from(',"payload":'), request.payload)
  return Buffer.concat([...parts, Buffer.from("}")])
}

/** The members of a request beside its type and its payload; undefined ones are left out. */
const fieldsOf = (request: Request): Record<string, unknown> => {
  switch (request.type) {
    case "publish":
      return { producer_id: request.producerId, sequence: request.sequence, position: request.position }
    case "hello":
      return {
        version: request.version,
        token: request.token,
        max_in_flight: request.maxInFlight,
        max_in_flight_bytes: request.maxInFlightBytes,
        producer_id: request.producerId,
        binary: request.binary || undefined
      }
    case "subscribe":
      return {
        subscriber_id: request.subscriberId,
        offset: request.offset,
        resume: request.resume || undefined,
        max_in_flight: request.maxInFlight,
        max_in_flight_bytes: request.maxInFlightBytes
      }
    case "unsubscribe":
      return { subscriber_id: request.subscriberId }
    case "ack":
      return { subscriber_id: request.subscriberId, ranges: request.ranges }
    case "nack":
      return { subscriber_id: request.subscriberId, message_id: String(request.offset) }
    case "commit":
      return { subscriber_id: request.subscriberId, offset: request.offset }
    case "set_offset":
      return { subscriber_id: request.subscriberId, ...request.to }
    case "ping":
    case "get_stats":
      return {}
  }
}
