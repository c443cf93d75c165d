/** What a program asks a gateway through the typed client, with failures as values. */
import { Effect, Option, Stream } from "effect"
import { GatewayClient } from "telemetry-pipeline/client"

/** Every GPU with the highest value that one of its metrics had, over all that is retained. */
export const highest = (metric_name: string) =>
  Effect.gen(function* () {
    const { gpus, telemetry } = yield* GatewayClient
    const { data: ids } = yield* gpus.list({ urlParams: {} })
    const highestOf = (id: string) =>
      telemetry.export({ path: { id }, urlParams: { metric_name } }).pipe(
        Stream.runFold(Number.NEGATIVE_INFINITY, (highest, { value }) => Math.max(highest, value)),
        Effect.map((value) => ({ id, value }))
      )
    return yield* Effect.forEach(ids, highestOf, { concurrency: 4 })
  })

/** The model of a GPU, where one is known under that name. */
export const modelOf = (id: string) =>
  Effect.flatMap(GatewayClient, ({ gpus }) => gpus.details({ path: { id } })).pipe(
    Effect.map((gpu) => Option.some(gpu.model_name)),
    Effect.catchTag("NotFound", () => Effect.succeedNone)
  )

/** The newest samples of a GPU, page after page, for as long as they are read. */
export const newest = (id: string) =>
  Stream.unwrap(
    Effect.map(GatewayClient, ({ telemetry }) =>
      telemetry.all({ path: { id }, urlParams: { order: "desc", limit: 50 } })
    )
  )
