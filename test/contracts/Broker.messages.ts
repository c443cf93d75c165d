/** What tests of a broker publish, and how they read: payloads are short texts, as JSON, which every peer can be sent. */
import { Effect } from "effect"
import {
  Broker,
  type NumberedPayloads,
  type SubscribeOptions,
  type Subscription
} from "../../src/layers/Broker.ts"
import { offsetOf, ProducerId, SourcePosition, SubscriberId, sequenceOf } from "../../src/protocol/Log.ts"

/** A message as it was delivered, or what retention dropped. */
export type Received =
  | { readonly offset: number; readonly text: string }
  | { readonly from: number; readonly to: number }

export const producerId = (name: string): ProducerId => ProducerId.make(name)

export const payload = (text: string): Uint8Array => new TextEncoder().encode(JSON.stringify(text))
/** The text of a payload. */
export const textOf = (payload: Uint8Array): string => JSON.parse(new TextDecoder().decode(payload))

/** Payloads under sequences from `firstSequence` on; the position behind each is `at <sequence>`. */
export const numbered = (firstSequence: number, texts: ReadonlyArray<string>): NumberedPayloads => ({
  firstSequence: sequenceOf(firstSequence),
  payloads: texts.map(payload),
  positions: texts.map((_, index) => SourcePosition.make(`at ${firstSequence + index}`))
})

/** Publishes texts without a producer. */
export const publish = (...texts: ReadonlyArray<string>) =>
  Effect.flatMap(Broker, (broker) => broker.publish(texts.map(payload)))

export const hello = (name: string) => Effect.flatMap(Broker, (broker) => broker.hello(producerId(name)))

/** Subscribes; from earliest, without a checkpoint and with credit for everything unless told otherwise. */
export const subscribe = (name: string, options: Partial<Omit<SubscribeOptions, "subscriberId">> = {}) =>
  Effect.flatMap(Broker, (broker) =>
    broker.subscribe({
      subscriberId: SubscriberId.make(name),
      from: "earliest",
      resume: "never",
      creditMessages: 1_000_000,
      creditBytes: 1_000_000_000,
      ...options
    })
  )

/** What has been delivered since the last call, waiting for something to be. */
export const receive = (subscription: Subscription) =>
  Effect.map(subscription.deliveries, (deliveries) =>
    deliveries.flatMap(
      (delivery): ReadonlyArray<Received> =>
        delivery._tag === "Gap"
          ? [{ from: delivery.from, to: delivery.to }]
          : delivery.payloads.map((bytes, index) => ({
              offset: delivery.firstOffset + index,
              text: textOf(bytes)
            }))
    )
  )

/** The offset behind what was received. */
export const endOf = (received: ReadonlyArray<Received>, start: number): number => {
  const last = received.at(-1)
  return last === undefined ? start : "to" in last ? last.to : last.offset + 1
}

/** Receives until everything below an offset was delivered, or told as a gap. */
export const receiveUntil = (subscription: Subscription, end: number) =>
  Effect.gen(function* () {
    const received: Array<Received> = []
    while (endOf(received, subscription.start) < end) received.push(...(yield* receive(subscription)))
    return received
  })

/** Messages with these texts, the first at an offset. */
export const messages = (firstOffset: number, ...texts: ReadonlyArray<string>): ReadonlyArray<Received> =>
  texts.map((text, index) => ({ offset: firstOffset + index, text }))

/** Commits everything below an offset. */
export const commit = (subscription: Subscription, offset: number) => subscription.commit(offsetOf(offset))

/** Waits, letting everything else go on, until a condition holds. */
export const eventually = <E, R>(condition: Effect.Effect<boolean, E, R>): Effect.Effect<void, E, R> =>
  Effect.flatMap(condition, (holds) => (holds ? Effect.void : Effect.zipRight(turn, eventually(condition))))

/** Lets the event loop turn once, and every fiber that can go on. */
export const turn: Effect.Effect<void> = Effect.async((resume) => {
  const pending = setImmediate(() => resume(Effect.void))
  return Effect.sync(() => clearImmediate(pending))
})

/** Waits until so many records wait for room in the log. */
export const recordsWait = (records: number) =>
  Effect.flatMap(Broker, (broker) =>
    eventually(Effect.map(broker.stats, ({ waitingRecords }) => waitingRecords === records))
  )
