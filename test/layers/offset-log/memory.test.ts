import { describe, expect, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
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
})
