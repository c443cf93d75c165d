/** The broker's HTTP API on a free port of this machine, and requests to it. */
import { Effect, Layer } from "effect"
import { BrokerHttpAddress, BrokerHttpConfig, layer } from "../../src/http/BrokerHttp.ts"
import { Broker, type BrokerStats } from "../../src/layers/Broker.ts"
import * as Rejects from "../../src/layers/Rejects.ts"
import { offsetOf } from "../../src/protocol/Log.ts"
import { type Answer, ask } from "./Answer.ts"

/** The API over a broker. */
export const brokerHttpOver = <E>(
  broker: Layer.Layer<Broker, E>
): Layer.Layer<BrokerHttpAddress | Broker | Rejects.Rejects> =>
  Layer.orDie(layer).pipe(
    Layer.provideMerge(
      Layer.mergeAll(Layer.orDie(broker), Rejects.layer, BrokerHttpConfig.layer({ port: 0 }))
    )
  )

/** Figures of a broker to which nothing happened, but for some. */
export const statsWith = (some: Partial<BrokerStats>): BrokerStats => ({
  logId: "log-1" as BrokerStats["logId"],
  log: { problem: null, appends: 0, appendedBytes: 0, syncs: 0, recovery: null },
  oldestOffset: offsetOf(0),
  nextOffset: offsetOf(0),
  logBytes: 0,
  waitingRecords: 0,
  fullForMs: null,
  producers: [],
  subscribers: [],
  checkpoints: [],
  gaps: { count: 0, messages: 0 },
  ...some
})

/** A broker of which there is nothing but its figures. */
export const brokerThatTells = (stats: Broker["Type"]["stats"]): Layer.Layer<Broker> =>
  Layer.succeed(
    Broker,
    Broker.of({
      publish: () => Effect.die("not asked for"),
      hello: () => Effect.die("not asked for"),
      join: () => Effect.die("not asked for"),
      setCheckpoint: () => Effect.die("not asked for"),
      subscribe: () => Effect.die("not asked for"),
      stats
    })
  )

/** Sends a request to the broker at hand and reads the whole answer. */
export const send = (path: string, init: RequestInit = {}): Effect.Effect<Answer, never, BrokerHttpAddress> =>
  Effect.flatMap(BrokerHttpAddress, ({ url }) => ask(url + path, init))
