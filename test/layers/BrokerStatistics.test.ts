import { Schema } from "effect"
import * as fc from "fast-check"
import { describe, expect, test } from "vitest"
import type { BrokerStats } from "../../src/layers/Broker.ts"
import { statisticsOf, statsOf } from "../../src/layers/BrokerStatistics.ts"
import { BrokerStatistics } from "../../src/protocol/BrokerStatistics.ts"
import {
  type LogId,
  offsetOf,
  type ProducerId,
  type SubscriberId,
  sequenceOf
} from "../../src/protocol/Log.ts"

const count = fc.nat()
const offset = fc.nat().map(offsetOf)
const text = fc.string({ minLength: 1 })
const subscriberId = text.map((id) => id as SubscriberId)
const orNull = <A>(arbitrary: fc.Arbitrary<A>) => fc.option(arbitrary, { nil: null })
/** Up to a time that RFC 3339 and an exact double carry. */
const atMs = fc.nat({ max: 4_000_000_000_000 })

const stats: fc.Arbitrary<BrokerStats> = fc.record({
  logId: text.map((id) => id as LogId),
  log: fc.record({
    problem: orNull(text),
    appends: count,
    appendedBytes: count,
    syncs: count,
    recovery: orNull(fc.record({ records: count, bytes: count, tornBytes: count, durationMs: count }))
  }),
  oldestOffset: offset,
  nextOffset: offset,
  logBytes: count,
  waitingRecords: count,
  fullForMs: orNull(count),
  producers: fc.array(
    fc.record({ producerId: text.map((id) => id as ProducerId), lastSequence: count.map(sequenceOf) })
  ),
  subscribers: fc.array(
    fc.record({ subscriberId, currentOffset: offset, checkpoint: orNull(offset), messagesMissed: count })
  ),
  checkpoints: fc.array(
    fc.record({
      subscriberId,
      offset,
      isConnected: fc.boolean(),
      seenMs: atMs,
      holdsBackForMs: fc.oneof(fc.constant(null), fc.constant(Number.POSITIVE_INFINITY), count)
    })
  ),
  gaps: fc.record({ count, messages: count })
})

describe("the object of /stats", () => {
  test("is what its schema says, and gives the figures back that it was made of", () => {
    fc.assert(
      fc.property(stats, (figures) => {
        const shown = { ...statisticsOf(figures), rejects: {} }
        const read = Schema.decodeUnknownSync(BrokerStatistics)(JSON.parse(JSON.stringify(shown)))
        expect(statsOf(read)).toEqual(figures)
      })
    )
  })
})
