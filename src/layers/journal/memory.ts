/** Journals in memory: gone with the layer, but not with the actor that wrote them. */
import { Effect, Layer } from "effect"
import { Journal } from "../Journal.ts"

const make = Effect.sync(() => {
  const journals = new Map<string, { snapshot: string | undefined; entries: Array<string> }>()
  return Journal.of({
    open: (name) =>
      Effect.sync(() => {
        const held = journals.get(name) ?? { snapshot: undefined, entries: [] }
        journals.set(name, held)
        return {
          content: Effect.sync(() => ({ snapshot: held.snapshot, entries: [...held.entries] })),
          append: (entries) => Effect.sync(() => void held.entries.push(...entries)),
          snapshot: (snapshot) =>
            Effect.sync(() => {
              held.snapshot = snapshot
              held.entries = []
            })
        }
      })
  })
})

export const layerMemory: Layer.Layer<Journal> = Layer.effect(Journal, make)
