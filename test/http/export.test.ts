import { connect } from "node:net"
import { expect, it } from "@effect/vitest"
import { parse } from "csv-parse/sync"
import { Deferred, Effect, Schedule, Stream } from "effect"
import { GatewayAddress } from "../../src/http/Gateway.ts"
import { csvText } from "../../src/http/gateway/ExportFormats.ts"
import { sampleAt } from "../Samples.ts"
import { endless, gatewayOver, logged, send, storeOf, storeWith, unavailable } from "./TestGateway.ts"

const csvHeader = "Timestamp,MetricName,GPUID,Device,UUID,ModelName,Hostname,Container,Pod,Namespace,Value"
const exportOf = (uuid: string, query: string) =>
  send(`/api/v1/gpus/${encodeURIComponent(uuid)}/telemetry/export?${query}`)

const few = storeOf([
  sampleAt(0, { modelName: 'a "b", c', hostname: "=cmd|' /C calc'!A0" }, -1 / 3),
  sampleAt(1, { pod: "@pod", namespace: "-n", container: "line\nbreak", device: "+1" }, 1e21)
])

it.live("CSV has the old header, LF, one line per sample and every digit", () =>
  Effect.gen(function* () {
    const { text, headers } = yield* exportOf("GPU-1", "format=csv&order=asc&hostname=host-1")
    expect(text).toBe(
      `${csvHeader}\n2025-07-18T20:42:35Z,DCGM_FI_DEV_GPU_UTIL,0,'+1,GPU-1,NVIDIA H100 80GB HBM3,host-1,"line\nbreak",'@pod,'-n,1e+21\n`
    )
    expect(headers.get("content-type")).toBe("text/csv")
    expect(headers.get("content-disposition")).toBe("attachment; filename=telemetry-GPU-1.csv")
  }).pipe(Effect.provide(gatewayOver(few)))
)

it.live("CSV reads back as what was stored, formulas defused and numbers untouched", () =>
  Effect.gen(function* () {
    const rows = parse((yield* exportOf("GPU-1", "format=csv&order=asc")).text, { columns: true })
    expect(rows).toHaveLength(2)
    expect(rows[0]).toMatchObject({
      ModelName: 'a "b", c',
      Hostname: "'=cmd|' /C calc'!A0",
      Value: "-0.3333333333333333"
    })
    expect(rows[1]).toMatchObject({ Container: "line\nbreak", Pod: "'@pod", Namespace: "'-n" })
  }).pipe(Effect.provide(gatewayOver(few)))
)

it("a text that a spreadsheet would run is defused, any other left as it is", () => {
  for (const start of ["=", "+", "-", "@", "\t"]) expect(csvText(`${start}x`)).toBe(`'${start}x`)
  expect(csvText("\rx")).toBe('"\'\rx"')
  for (const plain of ["", "a=b", "host-1", "'x", " =x"]) expect(csvText(plain)).toBe(plain)
})

it.live("NDJSON is one metric object per line, JSON the old envelope", () =>
  Effect.gen(function* () {
    const { text, headers } = yield* exportOf("GPU-1", "format=ndjson&order=asc")
    expect(text.endsWith("\n")).toBe(true)
    const rows = text
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line))
    expect(rows.map((row) => row.value)).toEqual([-1 / 3, 1e21])
    expect(headers.get("content-type")).toBe("application/x-ndjson")
    const whole = yield* exportOf("GPU-1", "order=asc")
    expect(whole.json).toEqual({ data: rows, count: 2 })
    expect(whole.headers.get("content-disposition")).toBe("attachment; filename=telemetry-GPU-1.json")
    const empty = yield* exportOf("GPU-0", "format=csv")
    expect(empty.text).toBe(`${csvHeader}\n`)
    expect((yield* exportOf("GPU-0", "format=ndjson")).text).toBe("")
  }).pipe(Effect.provide(gatewayOver(few)))
)

it.live("an export is not cut at the largest page", () =>
  Effect.gen(function* () {
    expect((yield* exportOf("GPU-1", "")).json.count).toBe(5_000)
  }).pipe(
    Effect.provide(
      gatewayOver(storeOf(Array.from({ length: 5_000 }, (_, i) => sampleAt(i))), { maxLimit: 10 })
    )
  )
)

it.live("no id breaks the header that names the file", () =>
  Effect.gen(function* () {
    for (const uuid of ['GPU"; filename=x', "GPU\r\nSet-Cookie: a=b", "GPU-\u{1f600}"]) {
      const { status, headers } = yield* exportOf(uuid, "format=csv")
      expect(status).toBe(200)
      const disposition = headers.get("content-disposition")!
      expect(disposition).toMatch(/^attachment; filename=[\w.-]+; filename\*=UTF-8''[\w.%-]+$/)
      expect(decodeURIComponent(disposition.split("''")[1]!)).toBe(`telemetry-${uuid}.csv`)
    }
  }).pipe(Effect.provide(gatewayOver(few)))
)

it.live("a store that fails before the first row is a 503, not a broken export", () =>
  Effect.gen(function* () {
    const answer = yield* exportOf("GPU-1", "")
    expect(answer).toMatchObject({ status: 503, json: { detail: "teststore: connection refused" } })
  }).pipe(Effect.provide(gatewayOver(storeWith({ samples: () => Stream.fail(unavailable) }))))
)

for (const [how, failure] of [
  ["fails", Stream.fail(unavailable)],
  ["dies", Stream.die(new Error("boom"))]
] as const) {
  for (const format of ["json", "csv", "ndjson"]) {
    it.live(`a ${format} export whose store ${how} midway resets the connection, and is logged`, () =>
      Effect.gen(function* () {
        const { url } = yield* GatewayAddress
        const read = yield* Effect.exit(
          Effect.tryPromise(async () => {
            const response = await fetch(`${url}/api/v1/gpus/GPU-1/telemetry/export?format=${format}`)
            expect(response.status).toBe(200)
            return response.text()
          })
        )
        expect(read._tag).toBe("Failure")
        expect((yield* send("/health")).status).toBe(200)
      }).pipe(
        Effect.provide(
          gatewayOver(
            storeWith({ samples: () => Stream.concat(Stream.make([sampleAt(0)], [sampleAt(1)]), failure) })
          )
        ),
        logged,
        Effect.map((log) => expect(log).toMatch(/an export broke midway/))
      )
    )
  }
}

/** Asks for an export and reads nothing of it; answers how the connection ended. */
const stalledClient = (port: number) =>
  Effect.async<string>((resume) => {
    const socket = connect(port, "127.0.0.1", () => {
      socket.write("GET /api/v1/gpus/GPU-1/telemetry/export HTTP/1.1\r\nHost: x\r\n\r\n")
      socket.pause()
    })
    socket.on("error", () => {})
    socket.on("close", () => resume(Effect.succeed("closed")))
    return Effect.sync(() => socket.destroy())
  })

it.live("a client that stops reading stops the store, and is cut off after the write timeout", () =>
  Effect.gen(function* () {
    const stopped = yield* Deferred.make<void>()
    let chunks = 0
    const samples = () =>
      endless.pipe(
        Stream.tap(() => Effect.sync(() => chunks++)),
        Stream.ensuring(Deferred.succeed(stopped, undefined))
      )
    yield* Effect.gen(function* () {
      const { port } = yield* GatewayAddress
      yield* Effect.fork(stalledClient(port))
      yield* Deferred.await(stopped)
      // What fits into the sockets' buffers, at 260 kB a chunk, and nothing beyond.
      expect(chunks).toBeLessThan(100)
    }).pipe(Effect.provide(gatewayOver(storeWith({ samples }), { writeTimeoutMs: 200 })))
  })
)

it.live("an export that flows is not cut by the write timeout, however long it takes", () => {
  const slowly = Stream.make([sampleAt(0)], [sampleAt(1)], [sampleAt(2)], [sampleAt(3)], [sampleAt(4)]).pipe(
    Stream.schedule(Schedule.spaced("100 millis"))
  )
  return Effect.gen(function* () {
    expect((yield* exportOf("GPU-1", "")).json.count).toBe(5)
  }).pipe(Effect.provide(gatewayOver(storeWith({ samples: () => slowly }), { writeTimeoutMs: 250 })))
})
