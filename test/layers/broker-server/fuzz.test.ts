/** A smoke of `npm run fuzz`, which sends a million frames and looks at memory too. */
import { expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { fuzz } from "../../../bench/fuzz/Fuzz.ts"
import { serving } from "./Serving.ts"

const frames = 10_000
const seed = Number(process.env.FUZZ_SEED ?? Date.now() % 1_000_000)

it.scopedLive(`random and damaged frames keep nobody from being served (FUZZ_SEED=${seed})`, () =>
  serving(
    async ({ server }) => {
      const report = await fuzz(server.address.port, frames, seed)
      expect(report.goodAnswers).toBeGreaterThan(0)
      expect(Effect.runSync(server.figures).framesRead).toBeGreaterThan(frames / 10)
    },
    {},
    { retentionBytes: 1024 * 1024, whenFull: "drop_oldest", redeliveryDelayMs: 10 }
  )
)
