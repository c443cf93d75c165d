/** Whether this process is ending: it finishes what it has, and nothing new should be sent to it. */
import { Context, Effect, Layer, Option, Ref } from "effect"

export class Draining extends Context.Tag("telemetry/Draining")<
  Draining,
  {
    readonly begin: Effect.Effect<void>
    /** As a readiness check: what is missing, `draining`, once it has begun. */
    readonly check: Effect.Effect<Option.Option<string>>
  }
>() {}

export const layer: Layer.Layer<Draining> = Layer.effect(
  Draining,
  Effect.map(Ref.make(Option.none<string>()), (state) => ({
    begin: Ref.set(state, Option.some("draining")),
    check: Ref.get(state)
  }))
)
