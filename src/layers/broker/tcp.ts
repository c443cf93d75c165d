/**
 * The broker in another process: a client of its wire protocol (CONTRACTS.md, Wire protocol).
 *
 * Each producer's session and each subscription has a connection of its own, which opens with it and closes with its scope;
 * a session that has broken is over, and whoever holds it opens another. Publishes without a producer share one, and
 * questions another, which open when they are needed. A publish has no deadline while its connection lives; where the log
 * is full it waits, whatever `whenFull` says: a connection without a subscription is never refused for that.
 */
import { Effect, Layer } from "effect"
import type { Offset } from "../../protocol/Log.ts"
import { formatTime } from "../../protocol/Time.ts"
import { Broker, SetCheckpointRefused } from "../Broker.ts"
import { BrokerClientConfig } from "./tcp/Config.ts"
import { ask, connect, makeShared, unavailable } from "./tcp/connecting.ts"
import { wordsOf } from "./tcp/Link.ts"
import { publishAnonymous, publishNamed, publishNumbered } from "./tcp/publishing.ts"
import { decodeStats } from "./tcp/stats.ts"
import { makeSubscribe, placeOf } from "./tcp/subscribing.ts"

export { BrokerClientConfig, type BrokerTlsOptions } from "./tcp/Config.ts"

const make = Effect.gen(function* () {
  const config = yield* BrokerClientConfig
  const publishing = yield* makeShared(
    Effect.map(connect(config), (connected) => ({ ...connected, publish: publishAnonymous(connected.link) }))
  )
  const asking = yield* makeShared(connect(config))

  return Broker.of({
    publish: (payloads) =>
      Effect.flatMap(publishing, ({ publish }) =>
        publish({ payloads, positions: payloads.map(() => null), firstSequence: null })
      ),
    hello: (producerId) =>
      Effect.map(connect(config, { producerId }), ({ link, welcome }) => ({
        logId: welcome.log_id,
        lastSequence: welcome.sequence ?? null,
        lastPosition: welcome.position ?? null,
        publish: publishNumbered(link)
      })),
    join: (producerId) =>
      Effect.map(connect(config), ({ link }) => ({ publish: publishNamed(link, producerId) })),
    subscribe: makeSubscribe(config),
    setCheckpoint: (subscriberId, to) =>
      Effect.gen(function* () {
        const { link } = yield* asking
        const place =
          typeof to === "object"
            ? { time: formatTime(BigInt(Math.trunc(to.atMs)) * 1_000_000n) }
            : { offset: placeOf(to) }
        const answer = yield* ask(link, { type: "set_offset", subscriberId, to: place })
        if (answer.type === "response") return (answer.offset ?? 0) as Offset
        return yield* answer.code === "set_checkpoint_refused"
          ? new SetCheckpointRefused({ subscriberId, reason: "unknown_subscriber" })
          : unavailable(wordsOf(answer))
      }),
    stats: Effect.flatMap(asking, ({ link }) =>
      Effect.flatMap(ask(link, { type: "get_stats" }), (answer) =>
        answer.type === "error" ? Effect.fail(unavailable(wordsOf(answer))) : decodeStats(answer)
      )
    )
  })
})

/** A broker over the network. It connects when it is needed, so that it need not be there yet. */
export const layerTcp: Layer.Layer<Broker, never, BrokerClientConfig> = Layer.scoped(Broker, make)
