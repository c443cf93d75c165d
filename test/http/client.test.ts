/** The typed client, over a real socket. */
import { fileURLToPath } from "node:url"
import { FetchHttpClient, HttpClient } from "@effect/platform"
import { expect, it } from "@effect/vitest"
import { Chunk, Deferred, Effect, Stream } from "effect"
import { build } from "esbuild"
import { GatewayAddress } from "../../src/http/Gateway.ts"
import * as Client from "../../src/http/GatewayClient.ts"
import type { Sample } from "../../src/protocol/Sample.ts"
import { epochNs, sampleAt, secondNs } from "../Samples.ts"
import { endless, gatewayOver, logged, send, storeOf, storeWith, unavailable } from "./TestGateway.ts"

/** A client of the gateway at hand, and the requests that it sends. */
const connected = Effect.gen(function* () {
  const { url } = yield* GatewayAddress
  const asked: Array<string> = []
  const client = yield* Client.make({
    baseUrl: url,
    transformClient: HttpClient.tapRequest((request) => Effect.sync(() => asked.push(request.url)))
  })
  return { client, asked }
}).pipe(Effect.provide(FetchHttpClient.layer))

const collect = <A, E, R>(stream: Stream.Stream<A, E, R>) =>
  Effect.map(Stream.runCollect(stream), Chunk.toReadonlyArray)

const many: ReadonlyArray<Sample> = Array.from({ length: 25 }, (_, i) => sampleAt(i))
const path = { id: "GPU-1" }

it.live("answers are typed values, and parameters are those of the contract", () =>
  Effect.gen(function* () {
    const { client } = yield* connected
    expect((yield* client.gpus.list({ urlParams: { limit: 5 } })).data).toEqual(["GPU-1"])
    expect((yield* client.gpus.details({ path })).model_name).toBe("NVIDIA H100 80GB HBM3")
    expect((yield* client.gpus.metrics({ path })).data).toEqual(["DCGM_FI_DEV_GPU_UTIL"])
    expect((yield* client.fleet.stats()).total_metrics).toBe(25)
    expect((yield* client.operations.ready()).status).toBe("ready")
    expect(yield* client.operations.metrics()).toContain("# TYPE")
    const urlParams = { start_time: epochNs + 20n * secondNs, order: "asc" } as const
    const page = yield* client.telemetry.page({ path, urlParams })
    expect(page.data.map(({ value }) => value)).toEqual([20, 21, 22, 23, 24])
  }).pipe(Effect.provide(gatewayOver(storeOf(many))))
)

it.live("problems are caught by their tags", () =>
  Effect.gen(function* () {
    const { client } = yield* connected
    const unknown = client.gpus
      .details({ path: { id: "GPU-0" } })
      .pipe(Effect.catchTag("NotFound", ({ detail }) => Effect.succeed(detail)))
    expect(yield* unknown).toBe('no GPU "GPU-0" is known')
    const urlParams = { start_time: 1n, end_time: 0n }
    for (const refused of [
      client.telemetry.page({ path, urlParams }),
      Stream.runDrain(client.telemetry.all({ path, urlParams })),
      Stream.runDrain(client.telemetry.export({ path, urlParams })),
      Stream.runDrain(client.telemetry.exportFile({ path, urlParams }))
    ]) {
      const caught = Effect.catchTag(refused, "BadRequest", ({ status }) => Effect.succeed(status))
      expect(yield* caught).toBe(400)
    }
  }).pipe(Effect.provide(gatewayOver(storeOf(many))))
)

it.live("a store that can't answer is a problem of every method", () =>
  Effect.gen(function* () {
    const { client } = yield* connected
    for (const failed of [
      client.telemetry.page({ path, urlParams: {} }),
      Stream.runDrain(client.telemetry.all({ path, urlParams: {} })),
      Stream.runDrain(client.telemetry.export({ path, urlParams: {} }))
    ]) {
      const caught = Effect.catchTag(failed, "Unavailable", ({ detail }) => Effect.succeed(detail))
      expect(yield* caught).toBe("teststore: connection refused")
    }
  }).pipe(
    Effect.provide(
      gatewayOver(
        storeWith({ page: () => Effect.fail(unavailable), samples: () => Stream.fail(unavailable) })
      )
    )
  )
)

it.live("all pages together are the whole result, each asked for when it is read", () =>
  Effect.gen(function* () {
    const { client, asked } = yield* connected
    const all = client.telemetry.all({ path, urlParams: { limit: 10, order: "asc" } })
    expect((yield* collect(all)).map(({ value }) => value)).toEqual(many.map(({ value }) => value))
    expect(asked).toHaveLength(3)
    yield* Stream.runDrain(Stream.take(all, 10))
    expect(asked).toHaveLength(4)
  }).pipe(Effect.provide(gatewayOver(storeOf(many))))
)

it.live("samples of all GPUs are read as those of one", () =>
  Effect.gen(function* () {
    const { client } = yield* connected
    const urlParams = { order: "asc", limit: 10 } as const
    const page = yield* client.telemetry.fleetPage({ urlParams: { ...urlParams, uuid: "GPU-1" } })
    expect(page.data.map(({ value }) => value)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
    const all = yield* collect(client.telemetry.fleetAll({ urlParams }))
    expect(all.map(({ value }) => value)).toEqual([...many.map(({ value }) => value), 100])
  }).pipe(Effect.provide(gatewayOver(storeOf([...many, sampleAt(90, { uuid: "GPU-2" }, 100)]))))
)

it.live("windows are typed values, page by page", () =>
  Effect.gen(function* () {
    const { client, asked } = yield* connected
    const urlParams = { window: 10n * secondNs, aggregate: "mean", order: "asc", limit: 2 } as const
    const windows = yield* collect(client.telemetry.windows({ path, urlParams }))
    expect(windows.map(({ timestamp, value }) => [timestamp.slice(17, 19), value])).toEqual([
      ["30", 2.5],
      ["40", 10.5],
      ["50", 20]
    ])
    expect(asked).toHaveLength(2)
    const byModel = { ...urlParams, window: 60n * secondNs, group_by: "model" } as const
    expect(yield* collect(client.telemetry.fleetWindows({ urlParams: byModel }))).toMatchObject([
      { model_name: "NVIDIA H100 80GB HBM3", value: 12, unit: "percent" }
    ])
    const none = client.telemetry.windows({ path: { id: "GPU-0" }, urlParams })
    expect(yield* collect(none)).toEqual([])
    const refused = client.telemetry.windows({ path, urlParams: { ...urlParams, window: 1n } })
    expect(
      yield* Effect.catchTag(Stream.runDrain(refused), "BadRequest", ({ status }) => Effect.succeed(status))
    ).toBe(400)
  }).pipe(Effect.provide(gatewayOver(storeOf(many))))
)

it.live("an export is the same samples, and its file the bytes that the gateway sends", () =>
  Effect.gen(function* () {
    const { client } = yield* connected
    const urlParams = { order: "asc" } as const
    const exported = yield* collect(client.telemetry.export({ path, urlParams }))
    expect(exported).toEqual((yield* client.telemetry.page({ path, urlParams })).data)
    const none = { metric_name: "NONE" }
    expect(yield* collect(client.telemetry.export({ path, urlParams: none }))).toEqual([])
    for (const format of ["json", "csv", "ndjson"] as const) {
      const file = client.telemetry.exportFile({ path, urlParams: { format } })
      const sent = yield* send(`/api/v1/gpus/GPU-1/telemetry/export?format=${format}`)
      expect(yield* Stream.mkString(Stream.decodeText(file))).toBe(sent.text)
    }
  }).pipe(Effect.provide(gatewayOver(storeOf(many))))
)

it.live("an export without an end is read as far as one likes", () =>
  Effect.gen(function* () {
    const { client } = yield* connected
    const some = client.telemetry.export({ path, urlParams: {} }).pipe(Stream.take(2_500), Stream.runCount)
    expect(yield* some).toBe(2_500)
  }).pipe(Effect.provide(gatewayOver(storeWith({ samples: () => endless }))))
)

it.live("an export that breaks midway fails", () =>
  Effect.gen(function* () {
    const begun = yield* Deferred.make<void>()
    const breaking = Stream.concat(
      Stream.make(many),
      Stream.fromEffect(Effect.zipRight(Deferred.await(begun), Effect.fail(unavailable)))
    )
    yield* Effect.gen(function* () {
      const { client } = yield* connected
      const failure = yield* client.telemetry.export({ path, urlParams: {} }).pipe(
        Stream.tap(() => Deferred.succeed(begun, undefined)),
        Stream.runDrain,
        Effect.flip
      )
      expect(failure._tag).toBe("ResponseError")
    }).pipe(logged, Effect.provide(gatewayOver(storeWith({ samples: () => breaking }))))
  })
)

const odd = ["a//b", "a?b#c;d", "a%2Fb", "a+b c", "$&", "\u{1f600}"].map((uuid) => sampleAt(0, { uuid }))

it.live("an id may hold any characters", () =>
  Effect.gen(function* () {
    const { client } = yield* connected
    for (const { series } of odd) {
      const path = { id: series.uuid }
      expect((yield* client.gpus.details({ path })).uuid).toBe(path.id)
      expect((yield* client.telemetry.page({ path, urlParams: {} })).count).toBe(1)
      expect(yield* collect(client.telemetry.all({ path, urlParams: {} }))).toHaveLength(1)
      expect(yield* collect(client.telemetry.export({ path, urlParams: {} }))).toHaveLength(1)
    }
  }).pipe(Effect.provide(gatewayOver(storeOf(odd))))
)

it.live("a layer over fetch needs a URL and nothing else", () =>
  Effect.gen(function* () {
    const { url } = yield* GatewayAddress
    const listed = Effect.flatMap(Client.GatewayClient, ({ gpus }) => gpus.list({ urlParams: {} }))
    const { count } = yield* Effect.provide(listed, Client.layerFetch({ baseUrl: new URL(url) }))
    expect(count).toBe(1)
  }).pipe(Effect.provide(gatewayOver(storeOf(many))))
)

it("it runs in a browser: nothing of Node or of the server is a part of it", async () => {
  const { metafile, warnings } = await build({
    entryPoints: [fileURLToPath(new URL("../../src/http/GatewayClient.ts", import.meta.url))],
    bundle: true,
    write: false,
    minify: true,
    platform: "browser",
    format: "esm",
    metafile: true
  })
  expect(warnings).toEqual([])
  const bundled = Object.values(metafile.outputs).flatMap(({ inputs }) =>
    Object.entries(inputs).flatMap(([file, { bytesInOutput }]) => (bytesInOutput > 0 ? [file] : []))
  )
  const ours = bundled.filter((file) => file.startsWith("src/"))
  expect(ours.filter((file) => !/^src\/(protocol|http)\//.test(file))).toEqual([])
  expect(ours).not.toContain("src/http/Gateway.ts")
  expect(bundled.filter((file) => /platform-node|HttpApiBuilder/.test(file))).toEqual([])
})
