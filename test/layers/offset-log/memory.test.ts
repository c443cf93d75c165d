import { describe, expect, it } from "@effect/vitest"
import { Effect, Layer, TestClock } from "effect"
import { OffsetLog } from "../../../src/layers/OffsetLog.ts"
import { layerMemory, MemoryLogConfig } from "../../../src/layers/offset-log/memory.ts"
import { offsetLogContract } from "../../contracts/OffsetLog.contract.ts"

const layer = Layer.provide(layerMemory, MemoryLogConfig.layer({ segmentBytes: 2_000 }))

offsetLogContract("in memory", layer)

describe("in memory", () => {
  it.effect("every log is another one", () =>
    Effect.gen(function* () {
      const logId = Effect.provide(
        Effect.map(OffsetLog, ({ logId }) => logId),
        Layer.fresh(layer)
      )
      expect(yield* logId).not.toBe(yield* logId)
    })
  )

  it.effect(
    "a segment is closed when it is old, so that what is too old can go while little is appended",
    () =>
      Effect.gen(function* () {
        const log = yield* OffsetLog
        for (const nowMs of [1_000, 1_999, 2_000, 9_000]) {
          yield* TestClock.setTime(nowMs)
          yield* log.append([{ payloads: [new Uint8Array(1)], producer: null }])
        }
        const { segments } = yield* log.bounds
        expect(segments).toMatchObject([
          { next: 2, newestMs: 1_999 },
          { next: 3, newestMs: 2_000 },
          { next: 4, newestMs: 9_000 }
        ])
      }).pipe(
        Effect.provide(
          Layer.provide(layerMemory, MemoryLogConfig.layer({ segmentBytes: 2_000, segmentMs: 1_000 }))
        )
      )
  )
})
