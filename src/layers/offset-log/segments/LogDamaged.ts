/** Why a log can't be opened. */
import { Schema } from "effect"

/** Records that were on the disk are not there any more, or are not what was written. Nothing was changed. */
export class LogDamaged extends Schema.TaggedError<LogDamaged>()("LogDamaged", {
  file: Schema.String,
  /** Where in the file. */
  position: Schema.Number,
  /** The record that should be there. */
  offset: Schema.Number,
  problem: Schema.String
}) {
  override get message(): string {
    return (
      `${this.file} is damaged at byte ${this.position}, where record ${this.offset} should be: ${this.problem}. ` +
      "Put back the file from a copy, or open the log with `quarantine`: " +
      "the damaged file is then copied aside, and what can be read of it is kept"
    )
  }
}

/** The folder of a log can't be used. */
export class LogUnusable extends Schema.TaggedError<LogUnusable>()("LogUnusable", {
  directory: Schema.String,
  problem: Schema.String,
  cause: Schema.optional(Schema.Defect)
}) {
  override get message(): string {
    return `the log in ${this.directory} can't be opened: ${this.problem}`
  }
}
