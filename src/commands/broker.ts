/**
 * The broker in a process of its own: log and journal, the server that peers publish to and subscribe at, and HTTP for those
 * who run it. HTTP is there while the log is read back, and says so.
 */
import { Effect, Layer } from "effect"
import { embeddedBroker } from "../compose/broker.ts"
import { brokerHttp, brokerServer, readyWhile } from "../compose/servers.ts"
import * as BrokerFront from "../layers/BrokerFront.ts"
import * as Draining from "../layers/Draining.ts"
import * as Metrics from "../layers/Metrics.ts"
import * as Rejects from "../layers/Rejects.ts"
import type { BrokerProcessSettings } from "../layers/settings/commands.ts"
import * as Announcing from "./announcing.ts"
import { stop } from "./stopping.ts"
import { logRejects } from "./telling.ts"

const metrics = Layer.mergeAll(
  Metrics.layerBroker,
  Metrics.layerBrokerServer,
  Metrics.layerRejects,
  Metrics.layerProcess
)

const http = ({ brokerHttp: settings }: BrokerProcessSettings) =>
  Layer.tap(Layer.provide(brokerHttp(settings), BrokerFront.layerBroker), (built) =>
    Effect.provide(Announcing.announceBrokerHttp, built)
  )

const layers = (settings: BrokerProcessSettings) =>
  BrokerFront.openFor(
    metrics.pipe(
      Layer.provideMerge(brokerServer(settings.brokerServer)),
      Layer.provideMerge(embeddedBroker(settings.broker))
    )
  ).pipe(
    Layer.provideMerge(http(settings)),
    Layer.provide(readyWhile()),
    Layer.provideMerge(Layer.mergeAll(Draining.layer, BrokerFront.layer, Rejects.layer))
  )

const stopping = { doing: "answering what was asked", lost: "not every peer was answered" }

/** Serves until it is interrupted. */
export const broker = (settings: BrokerProcessSettings) =>
  Effect.gen(function* () {
    yield* Announcing.announceLog(settings.broker)
    yield* Announcing.announceServer(settings.brokerServer)
    yield* Effect.forkScoped(logRejects)
    return yield* Effect.never
  }).pipe(
    Effect.scoped,
    Effect.onInterrupt(() => stop(settings.process, stopping, Effect.void)),
    Effect.provide(layers(settings))
  )
