/** Our own peers: they negotiate binary frames in `hello`, publish batches of payloads, many in flight, and take deliveries. */
import { Effect, Layer, type Scope } from "effect"
import { Broker, type Subscription } from "../../src/layers/Broker.ts"
import { BrokerClientConfig, layerTcp } from "../../src/layers/broker/tcp.ts"
import * as Scheduler from "../../src/layers/Scheduler.ts"
import { ProducerId, SourcePosition, SubscriberId, sequenceOf } from "../../src/protocol/Log.ts"
import { type ClientTimes, payloadOf, timed } from "./Client.ts"

/** Payloads of one call of publish, and the bytes beyond which it takes in no more. */
export const batchPayloads = 100
const batchBytes = 1024 * 1024
/** Bytes on their way at a time. */
const windowBytes = 8 * 1024 * 1024

/** Runs it with a broker that is reached over TCP. */
export const withBroker = <A>(
  port: number,
  body: Effect.Effect<A, unknown, Broker | Scope.Scope>
): Promise<A> =>
  Effect.scoped(body).pipe(
    Effect.provide([
      Layer.provide(layerTcp, BrokerClientConfig.layer({ host: "127.0.0.1", port, silenceMsMax: 30_000 })),
      Scheduler.layer
    ]),
    Effect.runPromise
  )

/** Opens the session of a producer; what it publishes carries sequences and positions, as a streamer's batches do. */
export const openSession = Effect.gen(function* () {
  const broker = yield* Broker
  const { publish, lastSequence } = yield* broker.hello(ProducerId.make("bench"))
  let sequence = lastSequence === null ? 0 : lastSequence + 1
  return (payloads: ReadonlyArray<Uint8Array>) => {
    const firstSequence = sequenceOf(sequence)
    sequence += payloads.length
    const positions = payloads.map((_, index) => SourcePosition.make(`row ${firstSequence + index}`))
    return publish({ firstSequence, payloads, positions })
  }
})

/** Subscribes at the log's beginning, with no limit but the connection's own. */
export const openSubscription = (index: number) =>
  Effect.flatMap(Broker, (broker) =>
    broker.subscribe({
      subscriberId: SubscriberId.make(`peer ${index}`),
      from: "earliest",
      resume: "never",
      creditMessages: Number.POSITIVE_INFINITY,
      creditBytes: Number.POSITIVE_INFINITY
    })
  )

/** Takes what is delivered until it is so many messages, and tells how many came each time. */
export const receive = (
  { deliveries }: Subscription,
  count: number,
  onReceived: (received: number) => void = () => {}
): Effect.Effect<void, unknown> =>
  Effect.gen(function* () {
    for (let left = count; left > 0; ) {
      for (const delivery of yield* deliveries) {
        if (delivery._tag === "Gap") throw new Error(`missed ${delivery.from} to ${delivery.to}`)
        left -= delivery.payloads.length
        onReceived(delivery.payloads.length)
      }
    }
  })

export interface PublishOptions {
  readonly port: number
  readonly size: number
  readonly count: number
  /** Payloads of a call: as many as are good by default. */
  readonly together?: number
  /** Calls on their way at a time. */
  readonly inFlight?: number
}

export const publishAsPeer = ({
  port,
  size,
  count,
  together = Math.min(batchPayloads, Math.ceil(batchBytes / size)),
  inFlight = Math.max(2, Math.floor(windowBytes / size / together))
}: PublishOptions): Promise<ClientTimes> =>
  withBroker(
    port,
    Effect.gen(function* () {
      const publish = yield* openSession
      const batch = Array<Uint8Array>(together).fill(Buffer.from(payloadOf(size)))
      const calls = Math.ceil(count / together)
      const startMs = performance.now()
      yield* Effect.forEach(Array(calls), () => Effect.suspend(() => publish(batch)), {
        concurrency: inFlight,
        discard: true
      })
      return timed(calls * together, startMs)
    })
  )

export interface SubscribeOptions {
  readonly port: number
  readonly subscribers: number
  /** That each of them reads. */
  readonly messages: number
}

export const subscribeAsPeers = ({ port, subscribers, messages }: SubscribeOptions): Promise<ClientTimes> =>
  withBroker(
    port,
    Effect.gen(function* () {
      const startMs = performance.now()
      yield* Effect.forEach(
        Array(subscribers),
        (_, index) =>
          Effect.scoped(
            Effect.flatMap(openSubscription(index), (subscription) => receive(subscription, messages))
          ),
        { concurrency: "unbounded", discard: true }
      )
      return timed(subscribers * messages, startMs)
    })
  )
