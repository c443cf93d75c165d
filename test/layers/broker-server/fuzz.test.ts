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
      const { port } = server.address
      const framesRead = () => Effect.runSync(server.figures).framesRead
      const { goodAnswers } = await fuzz({ port, framesRead }, frames, seed)
      expect(goodAnswers).toBeGreaterThan(0)
    },
    {},
    { retentionBytes: 1024 * 1024, whenFull: "drop_oldest", redeliveryDelayMs: 10 }
  )
)
