/**
 * Journals of facts, by name: what an actor recovers from.
 *
 * A journal knows nothing of what it keeps: entries and snapshots are texts, and `typed` puts a codec in front.
 */
import { Context, Effect, type ParseResult, Schema, type Scope } from "effect"

/** The journal can't be read or written. An actor that can't journal a fact ends. */
export class JournalFailed extends Schema.TaggedError<JournalFailed>()("JournalFailed", {
  journal: Schema.String,
  problem: Schema.String,
  cause: Schema.optional(Schema.Defect)
}) {
  override get message(): string {
    return `journal ${this.journal}: ${this.problem}`
  }
}

/** What a journal holds: the latest snapshot, and the entries behind it. */
export interface JournalContent<Snapshot, Entry> {
  readonly snapshot: Snapshot | undefined
  readonly entries: ReadonlyArray<Entry>
}

/** How an append ends. */
export interface JournalAppendOptions {
  /**
   * Without `false` the entries outlive a loss of power when the append returns. With it they outlive a kill then, and a loss of
   * power with the next append that is synced, or a second later.
   */
  readonly sync?: boolean
}

export interface OpenJournal<Snapshot, Entry> {
  readonly content: Effect.Effect<JournalContent<Snapshot, Entry>, JournalFailed>
  /** Returns when the entries are durable, all or none. */
  readonly append: (
    entries: ReadonlyArray<Entry>,
    options?: JournalAppendOptions
  ) => Effect.Effect<void, JournalFailed>
  /** Replaces everything that the journal holds by a snapshot that includes it. */
  readonly snapshot: (snapshot: Snapshot) => Effect.Effect<void, JournalFailed>
}

export class Journal extends Context.Tag("telemetry/Journal")<
  Journal,
  {
    /** Opens the journal of that name, empty where it is new. One at a time. */
    readonly open: (name: string) => Effect.Effect<OpenJournal<string, string>, JournalFailed, Scope.Scope>
  }
>() {}

/** A journal of facts and snapshots, as JSON. An entry that can't be read fails with its problem: nothing is skipped. */
export const typed = <Snapshot, SnapshotJson, Entry, EntryJson>(
  name: string,
  journal: OpenJournal<string, string>,
  snapshotSchema: Schema.Schema<Snapshot, SnapshotJson>,
  entrySchema: Schema.Schema<Entry, EntryJson>
): OpenJournal<Snapshot, Entry> => {
  const Snapshot = Schema.parseJson(snapshotSchema)
  const Entry = Schema.parseJson(entrySchema)
  const failed = (error: ParseResult.ParseError) =>
    new JournalFailed({ journal: name, problem: error.message, cause: error })
  return {
    content: Effect.flatMap(journal.content, ({ snapshot, entries }) =>
      Effect.mapError(
        Effect.all({
          snapshot: snapshot === undefined ? Effect.succeed(undefined) : Schema.decode(Snapshot)(snapshot),
          entries: Effect.forEach(entries, (entry) => Schema.decode(Entry)(entry))
        }),
        failed
      )
    ),
    append: (entries, options) =>
      Effect.forEach(entries, (entry) => Schema.encode(Entry)(entry)).pipe(
        Effect.mapError(failed),
        Effect.flatMap((encoded) => journal.append(encoded, options))
      ),
    snapshot: (snapshot) =>
      Effect.flatMap(Effect.mapError(Schema.encode(Snapshot)(snapshot), failed), journal.snapshot)
  }
}
