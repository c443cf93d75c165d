/** Real processes that are killed under load: a few kills of what `npm run test:crash` does by the hundred. */
import { expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { inject } from "vitest"
import { chaos } from "./Chaos.ts"

const kills = 20
const seed = Number(process.env.CRASH_SEED ?? Math.floor(Math.random() * 1_000_000))

it.live(
  `${kills} kills of broker, streamers and collector lose and double nothing`,
  () =>
    Effect.gen(function* () {
      const told: Array<string> = [`CRASH_SEED=${seed}`]
      const influx = inject("influx")
      if (influx === undefined)
        console.warn("SKIPPED: the collector of the crash tests, for want of an InfluxDB")
      const { acknowledged, ...outcome } = yield* chaos({
        kills,
        seed,
        influx,
        tell: (line) => told.push(line)
      }).pipe(Effect.onError(() => Effect.sync(() => console.error(told.join("\n")))))
      expect(Object.values(outcome.kills).reduce((sum, count) => sum + count, 0)).toBeGreaterThan(kills / 2)
      expect(acknowledged).toBeGreaterThan(0)
    }),
  180_000
)
