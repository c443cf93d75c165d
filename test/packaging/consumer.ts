/** A program of a user's: the whole system with a store of its own, asked through the typed client. Prints what it found. */
import { Effect } from "effect"
import { streamerMachine } from "telemetry-pipeline/actors/Streamer"
import { GatewayClient, layerFetch } from "telemetry-pipeline/client"
import { GatewayAddress } from "telemetry-pipeline/http/Gateway"
import { Collectors } from "telemetry-pipeline/layers/Collectors"
import { Streamers } from "telemetry-pipeline/layers/Streamers"
import { highest } from "../examples/client.ts"
import { layerFile } from "../examples/own-store.ts"
import { systemOver } from "../examples/whole-system.ts"

const program = Effect.gen(function* () {
  yield* (yield* Streamers).done
  yield* (yield* Collectors).drain
  const { url } = yield* GatewayAddress
  return yield* Effect.gen(function* () {
    const { fleet } = yield* GatewayClient
    // @ts-expect-error: what is imported has its types, and there is no such method
    fleet.statistics
    return {
      machine: streamerMachine.id,
      gpus: (yield* highest("DCGM_FI_DEV_GPU_TEMP")).length,
      samples: (yield* fleet.stats()).total_metrics
    }
  }).pipe(Effect.provide(layerFetch({ baseUrl: url })))
})

const found = await Effect.runPromise(Effect.provide(program, systemOver(layerFile(process.argv[2]!))))
console.log(JSON.stringify(found))
