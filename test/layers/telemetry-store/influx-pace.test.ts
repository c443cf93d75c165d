/** How often a process looks at an InfluxDB that answers slowly, or not at all. */
import { expect, it } from "@effect/vitest"
import { Effect, Exit, TestClock } from "effect"
import { StoreUnavailable } from "../../../src/layers/TelemetryStore.ts"
import * as Catalogue from "../../../src/layers/telemetry-store/influx/Catalogue.ts"
import { InfluxConfig } from "../../../src/layers/telemetry-store/influx/Config.ts"
import type { InfluxConnection } from "../../../src/layers/telemetry-store/influx/Connection.ts"
import type { SampleQueries } from "../../../src/layers/telemetry-store/influx/queries.ts"

const nothing = Effect.succeed([])
const hungSeconds = 45

/** An InfluxDB that holds nothing, and whose counts hang and then fail while it is ill. */
class Patient {
  isIll = false
  counts = 0

  readonly connection: InfluxConnection = {
    description: "InfluxDB",
    config: InfluxConfig.defaults,
    query: () => nothing,
    write: () => Effect.void,
    manage: () => Effect.succeed({})
  }

  readonly samples: SampleQueries = {
    ask: () => nothing,
    askCounts: () => nothing,
    seriesReader: () => () => ({}) as never,
    samples: () => nothing,
    count: () =>
      Effect.suspend(() => {
        this.counts++
        if (!this.isIll) return Effect.succeed(0)
        const problem = new StoreUnavailable({ store: "InfluxDB", problem: "socket hang up" })
        return Effect.delay(Effect.fail(problem), `${hungSeconds} seconds`)
      }),
    last: () => Effect.succeed(undefined),
    survey: () => Effect.succeed(undefined)
  }

  readonly catalogue = Catalogue.make(this.connection, this.samples, {
    catalogue: Effect.succeed("catalogue"),
    noteFailure: () => Effect.void
  })
}

it.scoped("a store that hung and is well again is ready again soon after, however long it hung", () =>
  Effect.gen(function* () {
    const patient = new Patient()
    const { ready } = yield* patient.catalogue
    yield* ready
    patient.isIll = true
    yield* TestClock.adjust("10 seconds")
    patient.isIll = false
    yield* TestClock.adjust(`${hungSeconds} seconds`)
    yield* TestClock.adjust("30 seconds")
    yield* ready
  })
)

it.scoped("a store that hangs is not ready, and is left alone between attempts", () =>
  Effect.gen(function* () {
    const patient = new Patient()
    const { ready } = yield* patient.catalogue
    yield* ready
    patient.isIll = true
    patient.counts = 0
    yield* TestClock.adjust("10 minutes")
    expect(Exit.isFailure(yield* Effect.exit(ready))).toBe(true)
    expect(patient.counts).toBeLessThanOrEqual(600 / (hungSeconds + 30))
  })
)
