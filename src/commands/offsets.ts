/** Checkpoints of a running broker, shown and set by whoever operates it. */
import { Console, Effect } from "effect"
import type { OffsetsAction } from "../cli.ts"
import { remoteBroker } from "../compose/broker.ts"
import { Broker, type BrokerStats } from "../layers/Broker.ts"
import type { OffsetsSettings } from "../layers/settings/commands.ts"
import { formatTime } from "../protocol/Time.ts"

/** Columns as wide as their widest cell; numbers, as all but names, stand to the right. */
const table = (rows: ReadonlyArray<ReadonlyArray<string>>, textColumns: ReadonlyArray<number>): string => {
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)))
  return rows
    .map((row) =>
      row
        .map((cell, column) =>
          textColumns.includes(column) ? cell.padEnd(widths[column]!) : cell.padStart(widths[column]!)
        )
        .join("  ")
        .trimEnd()
    )
    .join("\n")
}

const secondNs = 1_000_000_000n

const lastSeen = (seenMs: number): string =>
  formatTime(((BigInt(Math.trunc(seenMs)) * 1_000_000n) / secondNs) * secondNs)

/** A line per checkpoint, those furthest behind first. */
export const offsetsTable = ({ checkpoints, oldestOffset, nextOffset }: BrokerStats): string => {
  const held = oldestOffset === nextOffset ? "is empty" : `holds offsets ${oldestOffset} to ${nextOffset - 1}`
  const log = `the log ${held}; the next message gets ${nextOffset}`
  if (checkpoints.length === 0) return `${log}\nno subscriber has a checkpoint`
  const rows = checkpoints.map(({ subscriberId, offset, isConnected, seenMs }) => [
    subscriberId,
    String(offset),
    String(nextOffset - offset),
    isConnected ? "yes" : "no",
    lastSeen(seenMs)
  ])
  return `${log}\n${table([["ID", "OFFSET", "LAG", "CONNECTED", "LAST SEEN"], ...rows], [0, 3, 4])}`
}

const list = Effect.flatMap(Broker, ({ stats }) =>
  Effect.flatMap(stats, (figures) => Console.log(offsetsTable(figures)))
)

const set = ({ subscriberId, to }: Extract<OffsetsAction, { readonly type: "set" }>) =>
  Effect.gen(function* () {
    const broker = yield* Broker
    const offset = yield* broker.setCheckpoint(subscriberId, to)
    const { nextOffset } = yield* broker.stats
    const isElsewhere =
      typeof to === "number" ? to !== offset : typeof to === "object" && offset === nextOffset
    const note = isElsewhere ? " (the log has nothing where you asked for: this is the nearest)" : ""
    yield* Console.log(`${subscriberId} is at offset ${offset}, ${nextOffset - offset} to go${note}`)
  })

/** Does it, and ends. */
export const offsets = ({ client }: OffsetsSettings, action: OffsetsAction) =>
  (action.type === "list" ? list : set(action)).pipe(Effect.provide(remoteBroker(client)))
