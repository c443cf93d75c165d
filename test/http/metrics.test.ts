/** `/metrics` of both servers, as they stand in one process. */
import { expect, it } from "@effect/vitest"
import { Effect, Layer, Metric } from "effect"
import { BrokerHttpAddress, BrokerHttpConfig, layer as brokerHttp } from "../../src/http/BrokerHttp.ts"
import { GatewayAddress } from "../../src/http/Gateway.ts"
import { Broker, BrokerUnavailable } from "../../src/layers/Broker.ts"
import { Collectors } from "../../src/layers/Collectors.ts"
import { MetricSources } from "../../src/layers/MetricSources.ts"
import * as Metrics from "../../src/layers/Metrics.ts"
import { Rejects } from "../../src/layers/Rejects.ts"
import { Streamers } from "../../src/layers/Streamers.ts"
import { offsetOf } from "../../src/protocol/Log.ts"
import { publish, receiveUntil, subscribe } from "../contracts/Broker.messages.ts"
import { makeGround } from "../layers/broker/Ground.ts"
import { sampleAt } from "../Samples.ts"
import { ask } from "./Answer.ts"
import { readMetrics, valueOf } from "./PrometheusText.ts"
import { brokerThatTells } from "./TestBroker.ts"
import { gatewayOver, logged, storeOf } from "./TestGateway.ts"

const broker = Layer.scoped(
  Broker,
  Effect.flatMap(makeGround(), ({ openBroker }) => Effect.orDie(openBroker))
)

const streamers = Layer.succeed(
  Streamers,
  Streamers.of({
    progress: Effect.succeed([
      { streamerId: "streamer-1", rowsRead: 10, samplesRead: 9, batchesPublished: 2, waitsBecause: null },
      { streamerId: "streamer-2", rowsRead: 20, samplesRead: 18, batchesPublished: 4, waitsBecause: null }
    ]),
    done: Effect.never,
    drain: Effect.void
  })
)

const collectors = Layer.succeed(
  Collectors,
  Collectors.of({
    progress: Effect.succeed([
      {
        collectorId: "collector-1",
        messagesReceived: 5,
        samplesStored: 27,
        samplesRefused: 3,
        messagesMissed: 1,
        checkpoint: offsetOf(6)
      }
    ]),
    drain: Effect.void,
    failed: Effect.never,
    subscribed: Effect.void
  })
)

const sources = Layer.mergeAll(
  Metrics.layerBroker,
  Metrics.layerStreamers,
  Metrics.layerCollectors,
  Metrics.layerStore,
  Metrics.layerRejects,
  Metrics.layerProcess
)

/** Both servers and every source, over a broker. */
const systemOver = (over: Layer.Layer<Broker>) =>
  Layer.merge(sources, Layer.orDie(brokerHttp)).pipe(
    Layer.provideMerge(gatewayOver(storeOf([sampleAt(0), sampleAt(1)]))),
    Layer.provideMerge(Layer.mergeAll(over, streamers, collectors, BrokerHttpConfig.layer({ port: 0 }))),
    Layer.provideMerge(MetricSources.layer)
  )

const scrapeGateway = Effect.flatMap(GatewayAddress, ({ url }) => ask(`${url}/metrics`))
const scrapeBroker = Effect.flatMap(BrokerHttpAddress, ({ url }) => ask(`${url}/metrics`))

it.live(
  "both servers tell everything that the process measures, in Prometheus' format and by its conventions",
  () =>
    Effect.gen(function* () {
      ;(yield* Rejects).add("bad_value", () => ({ origin: "file.csv:3", input: "a,b" }))
      yield* publish("a", "b", "c")
      for (const scrape of [scrapeGateway, scrapeBroker]) {
        const answer = yield* scrape
        expect(answer.status).toBe(200)
        expect(answer.headers.get("content-type")).toBe("text/plain; version=0.0.4; charset=utf-8")
        const { families, comments } = readMetrics(answer.text)
        expect(comments).toEqual([])
        for (const [name, { type, help }] of families) {
          if (!/^(telemetry|process|nodejs)_/.test(name)) continue
          expect(help, name).not.toBe("")
          expect(name.endsWith("_total"), name).toBe(type === "counter")
          expect(name).not.toMatch(/_(ms|millis|milliseconds)(_|$)/)
        }
        const value = (name: string, labels?: Record<string, string>) => valueOf(answer.text, name, labels)
        expect(value("telemetry_broker_up")).toBe(1)
        expect(value("telemetry_broker_records_appended_total")).toBe(3)
        expect(value("telemetry_broker_oldest_offset")).toBe(0)
        expect(value("telemetry_broker_next_offset")).toBe(3)
        expect(value("telemetry_broker_log_bytes")).toBeGreaterThan(0)
        expect(value("telemetry_broker_waiting_records")).toBe(0)
        expect(value("telemetry_streamer_rows_read_total", { streamer: "streamer-1" })).toBe(10)
        expect(value("telemetry_streamer_batches_published_total", { streamer: "streamer-2" })).toBe(4)
        expect(value("telemetry_collector_messages_received_total", { collector: "collector-1" })).toBe(5)
        expect(value("telemetry_collector_samples_stored_total", { collector: "collector-1" })).toBe(27)
        expect(value("telemetry_collector_samples_refused_total", { collector: "collector-1" })).toBe(3)
        expect(value("telemetry_collector_messages_missed_total", { collector: "collector-1" })).toBe(1)
        expect(value("telemetry_collector_checkpoint_offset", { collector: "collector-1" })).toBe(6)
        expect(value("telemetry_store_up")).toBe(1)
        expect(value("telemetry_store_samples")).toBe(2)
        expect(value("telemetry_rejects_total", { reason: "bad_value" })).toBe(1)
        expect(value("process_resident_memory_bytes")).toBeGreaterThan(1e6)
        expect(value("process_cpu_seconds_total")).toBeGreaterThan(0)
        expect(value("process_start_time_seconds")).toBeLessThan(Date.now() / 1_000)
        expect(value("nodejs_eventloop_lag_seconds")).toBeGreaterThanOrEqual(0)
      }
    }).pipe(Effect.provide(systemOver(broker)))
)

it.live("a subscriber is shown with its lag while it is there, and no longer", () =>
  Effect.gen(function* () {
    const lag = Effect.map(scrapeBroker, ({ text }) =>
      valueOf(text, "telemetry_broker_subscriber_lag_records", { subscriber: 'a "b"\n' })
    )
    yield* publish("a", "b", "c")
    yield* Effect.scoped(
      Effect.gen(function* () {
        const subscription = yield* subscribe('a "b"\n')
        yield* receiveUntil(subscription, 3)
        expect(yield* lag).toBe(0)
      })
    )
    while ((yield* lag) !== undefined) yield* Effect.yieldNow()
  }).pipe(Effect.provide(systemOver(broker)))
)

it.live("whatever is counted with Effect's own metrics is shown", () =>
  Effect.gen(function* () {
    const mine = Metric.tagged(Metric.counter("my.things", { incremental: true }), "of", "mine")
    yield* Metric.incrementBy(mine, 3)
    for (const scrape of [scrapeGateway, scrapeBroker]) {
      expect(valueOf((yield* scrape).text, "my_things_total", { of: "mine" })).toBe(3)
    }
  }).pipe(Effect.provide(systemOver(broker)))
)

it.live("requests to the gateway are counted by their status, and their times measured", () =>
  Effect.gen(function* () {
    const { url } = yield* GatewayAddress
    const requests = (text: string, code: string) =>
      valueOf(text, "telemetry_gateway_requests_total", { code }) ?? 0
    const answered = (text: string) => valueOf(text, "telemetry_gateway_request_duration_seconds_count") ?? 0
    const before = (yield* scrapeBroker).text
    for (const path of ["/api/v1/gpus", "/api/v1/gpus/GPU-1/telemetry", "/nope", "/api/v1/gpus?limit=0"]) {
      yield* ask(url + path)
    }
    // A request is counted when its answer has left, which the client may know before.
    let after = (yield* scrapeBroker).text
    while (answered(after) < answered(before) + 4) after = (yield* scrapeBroker).text
    expect(requests(after, "200")).toBe(requests(before, "200") + 2)
    expect(requests(after, "404")).toBe(requests(before, "404") + 1)
    expect(requests(after, "400")).toBe(requests(before, "400") + 1)
    expect(valueOf(after, "telemetry_gateway_request_duration_seconds_bucket", { le: "+Inf" })).toBe(
      answered(after)
    )
  }).pipe(Effect.provide(systemOver(broker)))
)

it.live("a broker that can't be reached is told, and takes nothing else with it", () =>
  Effect.gen(function* () {
    const { text } = yield* scrapeGateway
    expect(valueOf(text, "telemetry_broker_up")).toBe(0)
    expect(valueOf(text, "telemetry_broker_next_offset")).toBeUndefined()
    expect(valueOf(text, "telemetry_store_samples")).toBe(2)
  }).pipe(
    Effect.provide(systemOver(brokerThatTells(Effect.fail(new BrokerUnavailable({ problem: "refused" })))))
  )
)

it.live("a source that breaks is logged, and takes nothing else with it", () =>
  Effect.gen(function* () {
    const { text } = yield* scrapeGateway
    expect(valueOf(text, "telemetry_store_samples")).toBe(2)
  }).pipe(
    Effect.provide(systemOver(brokerThatTells(Effect.die(new Error("broken figures"))))),
    logged,
    Effect.map((log) => expect(log).toContain("broken figures"))
  )
)

it.live("servers of one process have routes of their own", () =>
  Effect.gen(function* () {
    const gatewayUrl = (yield* GatewayAddress).url
    const brokerUrl = (yield* BrokerHttpAddress).url
    expect((yield* ask(`${gatewayUrl}/api/v1/gpus`)).status).toBe(200)
    expect((yield* ask(`${brokerUrl}/api/v1/gpus`)).status).toBe(404)
    expect((yield* ask(`${brokerUrl}/stats`)).status).toBe(200)
    expect((yield* ask(`${gatewayUrl}/stats`)).status).toBe(404)
    expect((yield* ask(`${gatewayUrl}/openapi.json`)).json.info.title).not.toBe(
      (yield* ask(`${brokerUrl}/openapi.json`)).json.info.title
    )
  }).pipe(Effect.provide(systemOver(broker)))
)
