import { expect, it } from "@effect/vitest"
import { Effect, Stream } from "effect"
import type { WindowQuery } from "../../../src/layers/TelemetryStore.ts"
import { windowsOf } from "../../../src/layers/telemetry-store/windows.ts"
import { sampleAt } from "../../Samples.ts"

const hours: WindowQuery = { order: "asc", windowNs: 3_600_000_000_000n, aggregate: "mean", groupBy: "gpu" }

it.effect("who fills windows of many samples takes turns with others, chunk by chunk", () =>
  Effect.gen(function* () {
    const read: Array<string> = []
    const reading = (name: string) =>
      Stream.range(0, 4).pipe(
        Stream.rechunk(1),
        Stream.map((second) => {
          read.push(`${name}${second}`)
          return [sampleAt(second)]
        })
      )
    const filling = (name: string) => Stream.runDrain(windowsOf(hours, reading(name)))
    yield* Effect.all([filling("a"), filling("b")], { concurrency: "unbounded" })
    expect(read).toEqual(["a0", "b0", "a1", "b1", "a2", "b2", "a3", "b3", "a4", "b4"])
  })
)

it.effect("samples of a series are one group whichever Series objects they have", () =>
  Effect.gen(function* () {
    const samples = Stream.make([sampleAt(0), sampleAt(1)], [sampleAt(2)], [])
    const rows = yield* Stream.runCollect(windowsOf(hours, samples))
    expect([...rows].flat()).toMatchObject([{ group: "GPU-1", value: 1 }])
  })
)
