/** The contract of an offset log, against segments with each way to sync. */
import { Deferred, Effect, Layer, TestClock } from "effect"
import * as Files from "../../../src/layers/Files.ts"
import { OffsetLog } from "../../../src/layers/OffsetLog.ts"
import { layerSegments, SegmentLogConfig } from "../../../src/layers/offset-log/segments.ts"
import { offsetLogContract } from "../../contracts/OffsetLog.contract.ts"
import { inDirectory } from "../Directories.ts"

const fsyncIntervalMs = 1

const segments = (fsync: "always" | "interval" | "never") =>
  inDirectory((directory) =>
    Layer.provide(layerSegments, [
      SegmentLogConfig.layer({ directory, segmentBytes: 2_000, fsync, fsyncIntervalMs }),
      Files.layerNode
    ])
  )

/** Returns from an append when it may be read, which the contract takes for granted. */
const readable = Layer.effect(
  OffsetLog,
  Effect.map(OffsetLog, (log) =>
    OffsetLog.of({
      ...log,
      append: (runs) =>
        Effect.gen(function* () {
          yield* log.append(runs)
          const { next } = yield* log.bounds
          const isReadable = yield* Deferred.make<void>()
          yield* log.onReadable((end) => {
            if (end >= next) Effect.runSync(Deferred.succeed(isReadable, undefined))
          })
          if (log.readableEnd() >= next) return
          yield* TestClock.adjust(fsyncIntervalMs)
          yield* Deferred.await(isReadable)
        }).pipe(Effect.scoped)
    })
  )
)

offsetLogContract("in segments, synced always", segments("always"))
offsetLogContract("in segments, synced now and then", Layer.provide(readable, segments("interval")))
offsetLogContract("in segments, never synced", segments("never"))
