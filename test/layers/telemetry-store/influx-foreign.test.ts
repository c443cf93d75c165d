/** Points that someone else wrote into our bucket: what is a sample of ours is read, and nothing fails for what is not. */
import { describe, expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { type Aggregate, aggregates } from "../../../src/protocol/Window.ts"
import { freshBucket, isInfluxThere, post } from "../../influx/Buckets.ts"
import { epochNs, sampleOf } from "../../Samples.ts"
import { allWindows, cataloguesOf, openReading, whole } from "./InfluxReading.ts"

const secondNs = 1_000_000_000n
const metricName = "DCGM_FI_DEV_GPU_UTIL"

describe.skipIf(!isInfluxThere)("points of others in InfluxDB", () => {
  it.effect("integers are numbers; text, truth values and other fields are no samples", () =>
    Effect.gen(function* () {
      const { connection, write, readingBy } = yield* openReading
      const own = sampleOf(epochNs, 2.5)
      yield* write([own])
      yield* post(connection.config, [
        `${metricName},uuid=GPU-2,hostname=host-1 other=7 ${epochNs}`,
        `${metricName},hostname=host-1 value=7 ${epochNs}`,
        `integers,uuid=GPU-1,hostname=host-1 value=7i ${epochNs}`,
        `unsigned,uuid=GPU-1,hostname=host-1 value=8u ${epochNs + secondNs}`,
        `texts,uuid=GPU-1,hostname=host-1 value="x" ${epochNs}`,
        `truths,uuid=GPU-1,hostname=host-1 value=true ${epochNs}`
      ])
      const none = { device: "", gpuId: undefined, modelName: "" }
      const expected = [
        own,
        sampleOf(epochNs, 7, { ...none, metricName: "integers" }),
        sampleOf(epochNs + secondNs, 8, { ...none, metricName: "unsigned" })
      ]
      for (const [name, catalogue] of Object.entries(cataloguesOf([own]))) {
        const reading = readingBy(catalogue)
        expect(yield* whole(reading, { order: "asc" }), name).toEqual(expected)
        expect(yield* reading.page({ order: "desc" }, { limit: 2, start: { offset: 1 } }), name).toEqual(
          [...expected].reverse().slice(1)
        )
        for (const aggregate of aggregates) {
          const query = { order: "asc", windowNs: secondNs, aggregate, groupBy: "host" } as const
          // A reader of its own each time: none has met the other types before.
          const rows = yield* allWindows(readingBy(catalogue), query)
          const values: Partial<Record<Aggregate, ReadonlyArray<number>>> = { count: [1, 1, 1] }
          expect(
            rows.map(({ value }) => value),
            `${aggregate}, ${name}`
          ).toEqual(values[aggregate] ?? [2.5, 7, 8])
        }
      }
    }).pipe(Effect.scoped, Effect.provide(freshBucket()))
  )

  it.effect("a gpu_id that is no index tells series apart, and is a label", () =>
    Effect.gen(function* () {
      const { connection, readingBy } = yield* openReading
      const ids = ["7", "07", "abc", "-1", "1.5", "99999999999999999999"]
      yield* post(
        connection.config,
        ids.map((id, i) => `m,uuid=GPU-1,gpu_id=${id} value=${i} ${epochNs}`)
      )
      const reading = readingBy(cataloguesOf([])["that knows nothing"]!)
      const found = yield* whole(reading, { order: "asc" })
      expect(found.map(({ series: { gpuId, labels } }) => gpuId ?? labels[0]![1]).sort()).toEqual(
        [7, ...ids.slice(1)].sort()
      )
      const ofSeven = yield* whole(reading, { order: "asc", gpuId: 7 })
      expect(ofSeven.map(({ value }) => value)).toEqual([0])
    }).pipe(Effect.scoped, Effect.provide(freshBucket()))
  )
})
