/** Files that several streamers share, as FastCheck draws them. */
import { FastCheck } from "effect"
import { headerLine, writeRow } from "../layers/telemetry-source/csv-harness.ts"
import { badRow, lineEnd, nastyText } from "./CsvRows.ts"
import type { Drawn } from "./Turns.ts"

/** Names of a few hosts, odd ones and none among them, so that hosts repeat. */
const hosts = FastCheck.array(FastCheck.oneof(nastyText, FastCheck.constantFrom("", "host-1", "host-2")), {
  minLength: 1,
  maxLength: 5
})
const slot = FastCheck.oneof(FastCheck.record({ host: FastCheck.nat(), uuid: FastCheck.nat(5) }), badRow)

/** A file with rows of every kind, and how many streamers read it. */
export const shardedFile = FastCheck.record({
  hosts,
  slots: FastCheck.array(slot, { maxLength: 40 }),
  always: FastCheck.boolean(),
  end: lineEnd,
  count: FastCheck.integer({ min: 1, max: 7 }),
  rowsMax: FastCheck.integer({ min: 1, max: 50 })
})

/**
 * The bytes of a file. Good row `n` has value `n`, and the time and series of some rows before it. Behind each bad one
 * stands a good one, which a bad quote could take along.
 */
export const bytesOf = ({ hosts, slots, always, end }: Drawn<typeof shardedFile>): Buffer => {
  const good = (n: number, hostname: string, uuid: string) =>
    writeRow(
      [`2025-07-18T20:42:0${n % 7}Z`, "M", "0", "nvidia0", uuid, "H100", hostname, "", "", "", String(n), ""],
      always
    )
  const lines = slots.flatMap((row, n) =>
    "reason" in row
      ? [Buffer.from(row.row, "latin1"), Buffer.from(good(1_000 + n, hosts[0]!, "GPU-x"))]
      : [Buffer.from(good(n, hosts[row.host % hosts.length]!, `GPU-${row.uuid}`))]
  )
  return Buffer.concat([Buffer.from(headerLine), ...lines].flatMap((line) => [line, Buffer.from(end)]))
}
