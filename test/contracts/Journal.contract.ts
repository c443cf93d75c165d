/** What every journal promises. The layer is built anew for each test. */
import { describe, expect, it } from "@effect/vitest"
import { Effect, FastCheck, type Layer, Schema } from "effect"
import { Journal, JournalFailed, typed } from "../../src/layers/Journal.ts"

const op = FastCheck.oneof(
  FastCheck.record({
    op: FastCheck.constant("append" as const),
    entries: FastCheck.array(FastCheck.string({ unit: "binary" }), { maxLength: 4 })
  }),
  FastCheck.record({
    op: FastCheck.constant("snapshot" as const),
    snapshot: FastCheck.string({ unit: "binary" })
  }),
  FastCheck.record({ op: FastCheck.constant("reopen" as const) })
)

export const journalContract = <E>(name: string, layer: Layer.Layer<Journal, E>): void => {
  const provided = <A, F>(body: Effect.Effect<A, F, Journal>) => Effect.provide(body, layer)
  /** Opens a journal, does something with it, and closes it. */
  const withJournal = <A, F>(
    journal: string,
    use: (open: Effect.Effect.Success<ReturnType<Journal["Type"]["open"]>>) => Effect.Effect<A, F>
  ) => Effect.scoped(Effect.flatMap(Journal, ({ open }) => Effect.flatMap(open(journal), use)))
  const content = (journal: string) => withJournal(journal, (open) => open.content)

  describe(`${name}, a journal,`, () => {
    it.effect.prop(
      "holds the latest snapshot and the entries behind it, whenever it is opened",
      { ops: FastCheck.array(op, { maxLength: 12 }) },
      ({ ops }) =>
        Effect.gen(function* () {
          let snapshot: string | undefined
          let entries: ReadonlyArray<string> = []
          for (const op of ops) {
            yield* withJournal("facts", (open) =>
              Effect.gen(function* () {
                if (op.op === "append") {
                  yield* open.append(op.entries)
                  entries = [...entries, ...op.entries]
                } else if (op.op === "snapshot") {
                  yield* open.snapshot(op.snapshot)
                  snapshot = op.snapshot
                  entries = []
                }
                expect(yield* open.content).toEqual({ snapshot, entries })
              })
            )
          }
          expect(yield* content("facts")).toEqual({ snapshot, entries })
        }).pipe(provided),
      { fastCheck: { numRuns: 30 } }
    )

    it.effect("keeps journals of other names apart", () =>
      Effect.gen(function* () {
        yield* withJournal("a", (open) => open.append(["1"]))
        yield* withJournal("b", (open) => Effect.zipRight(open.append(["2"]), open.snapshot("s")))
        expect(yield* content("a")).toEqual({ snapshot: undefined, entries: ["1"] })
        expect(yield* content("b")).toEqual({ snapshot: "s", entries: [] })
        expect(yield* content("c")).toEqual({ snapshot: undefined, entries: [] })
      }).pipe(provided)
    )

    it.effect("answers what it held when it was asked, whatever is appended later", () =>
      withJournal("a", (open) =>
        Effect.gen(function* () {
          yield* open.append(["1"])
          const before = yield* open.content
          yield* open.append(["2"])
          expect(before.entries).toEqual(["1"])
        })
      ).pipe(provided)
    )

    it.effect("keeps facts and snapshots through a codec, and fails on what that can't read", () =>
      withJournal("typed", (open) =>
        Effect.gen(function* () {
          const journal = typed("typed", open, Schema.Struct({ total: Schema.Number }), Schema.DateFromString)
          yield* journal.snapshot({ total: 3 })
          yield* journal.append([new Date(0)])
          expect(yield* journal.content).toEqual({ snapshot: { total: 3 }, entries: [new Date(0)] })
          yield* open.append(["{"])
          expect(yield* Effect.flip(journal.content)).toBeInstanceOf(JournalFailed)
        })
      ).pipe(provided)
    )
  })
}
