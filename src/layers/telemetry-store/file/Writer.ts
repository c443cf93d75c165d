/** What writes to the file: one transaction per request, and no other writes beside it. */
import type { TimeNs } from "../../../protocol/Time.ts"
import { type Connection, inTransaction } from "./database.ts"
import type { Columns } from "./messages.ts"
import { Statements } from "./Statements.ts"
import { parseSeries } from "./series-text.ts"
import { sortKey, textKey } from "./sort-key.ts"

/** A series as the file has it. */
interface StoredSeries {
  readonly sid: number
  readonly gpu: number
  readonly sortKey: Buffer
  lastNs: TimeNs | undefined
}

/** A GPU, and the place of its newest sample in the global order. */
interface StoredGpu {
  newest: StoredSeries | undefined
  lastNs: TimeNs
}

/** Rows of one statement: more are hardly faster, and a statement has to be compiled for each number. */
const rowsPerStatement = 100
/** Rows that are deleted at a time: some tens of milliseconds. */
const expiredRowsMax = 5_000

/** Statements for so many rows, made once each. */
const forRows = (row: string, statement: (rows: string) => string): ((count: number) => string) => {
  const made: Array<string> = []
  return (count) => {
    made[count] ??= statement(Array.from({ length: count }, () => row).join(","))
    return made[count]
  }
}
const insertNew = forRows("(?,?,?,?)", (rows) => `INSERT INTO samples VALUES ${rows} ON CONFLICT DO NOTHING`)
const insertOrReplace = forRows(
  "(?,?,?,?)",
  (rows) => `INSERT INTO samples VALUES ${rows} ON CONFLICT DO UPDATE SET value = excluded.value`
)
const setLatest = forRows(
  "(?,?)",
  (rows) => `INSERT INTO latest VALUES ${rows} ON CONFLICT DO UPDATE SET last_ns = excluded.last_ns`
)

export class Writer {
  /** By the number that the store gives a series; what is missing is looked up. */
  private readonly stored = new Map<number, StoredSeries>()
  private readonly keys = new Map<number, string>()
  private readonly gpus = new Map<number, StoredGpu>()
  private readonly statements: Statements

  constructor(connection: Connection) {
    this.statements = new Statements(connection)
  }

  write(columns: Columns): void {
    if (columns.isForgetful) {
      this.stored.clear()
      this.keys.clear()
    }
    for (const [number, key] of columns.newSeries) this.keys.set(number, key)
    this.transaction(() => {
      const before = columns.times.length
      let added = 0
      for (let from = 0; from < before; from += rowsPerStatement) {
        added += this.insert(columns, from, Math.min(from + rowsPerStatement, before))
      }
      this.count("samples", added)
      this.noteNewest(columns)
    })
  }

  /** Fails where the file can't be read. */
  ping(): void {
    this.statements.row("SELECT value FROM figures WHERE name = 'samples'")
  }

  /** Deletes some of what is older, and once nothing is, the series and GPUs that have nothing left; whether more is. */
  expire(oldestNs: TimeNs): boolean {
    const isDue = "SELECT 1 FROM samples INDEXED BY samples_ts WHERE ts < ? LIMIT 1"
    if (this.statements.row(isDue, oldestNs) === undefined) return false
    return this.transaction(() => {
      const changes = this.statements.run(
        `DELETE FROM samples WHERE (gpu, ts, sid) IN
           (SELECT gpu, ts, sid FROM samples INDEXED BY samples_ts WHERE ts < ? ORDER BY ts LIMIT ${expiredRowsMax})`,
        oldestNs
      )
      this.count("samples", -changes)
      this.count("evicted", changes)
      if (changes === expiredRowsMax) return true
      const goneSeries = this.statements.run("DELETE FROM latest WHERE last_ns < ?", oldestNs)
      if (goneSeries > 0) {
        this.statements.run("DELETE FROM series WHERE sid NOT IN (SELECT sid FROM latest)")
        this.statements.run("DELETE FROM gpus WHERE last_ns < ?", oldestNs)
        this.forget()
      }
      return false
    })
  }

  private transaction<A>(body: () => A): A {
    try {
      return inTransaction(this.statements.connection, "IMMEDIATE", body)
    } catch (cause) {
      this.forget()
      throw cause
    }
  }

  /** What is remembered of the file may not be what it holds. */
  private forget(): void {
    this.stored.clear()
    this.gpus.clear()
  }

  private count(name: "samples" | "evicted", change: number): void {
    if (change !== 0) this.statements.run("UPDATE figures SET value = value + ? WHERE name = ?", change, name)
  }

  /** Inserts some samples, replacing values where need be; how many of them are new. */
  private insert({ series, times, values }: Columns, from: number, to: number): number {
    const parameters: Array<number | bigint> = []
    for (let i = from; i < to; i++) {
      const { gpu, sid } = this.storedSeries(series[i]!)
      parameters.push(gpu, times[i]!, sid, values[i]!)
    }
    const changes = this.statements.run(insertNew(to - from), ...parameters)
    // All again in their order, so that of two for one identity the later one is kept.
    if (changes < to - from) this.statements.run(insertOrReplace(to - from), ...parameters)
    return changes
  }

  /** Keeps up with the newest sample of every series and GPU. */
  private noteNewest({ series, times }: Columns): void {
    const changedSeries = new Set<StoredSeries>()
    const changedGpus = new Map<number, StoredGpu>()
    for (let i = 0; i < times.length; i++) {
      const stored = this.stored.get(series[i]!)!
      const timeNs = times[i]!
      if (stored.lastNs !== undefined && timeNs <= stored.lastNs) continue
      stored.lastNs = timeNs
      changedSeries.add(stored)
      const gpu = this.storedGpu(stored.gpu)
      const { newest } = gpu
      if (
        newest !== undefined &&
        (timeNs < gpu.lastNs || (timeNs === gpu.lastNs && Buffer.compare(stored.sortKey, newest.sortKey) < 0))
      ) {
        continue
      }
      gpu.newest = stored
      gpu.lastNs = timeNs
      changedGpus.set(stored.gpu, gpu)
    }
    const latest = [...changedSeries]
    for (let from = 0; from < latest.length; from += rowsPerStatement) {
      const some = latest.slice(from, from + rowsPerStatement)
      this.statements.run(setLatest(some.length), ...some.flatMap(({ sid, lastNs }) => [sid, lastNs!]))
    }
    const setNewest = "UPDATE gpus SET newest_sid = ?, last_ns = ? WHERE gpu = ?"
    for (const [gpu, { newest, lastNs }] of changedGpus)
      this.statements.run(setNewest, newest!.sid, lastNs, gpu)
  }

  private storedGpu(gpu: number): StoredGpu {
    let stored = this.gpus.get(gpu)
    if (stored === undefined) {
      const row = this.statements.row(
        "SELECT gpus.last_ns, sid, sort_key FROM gpus JOIN series ON sid = newest_sid WHERE gpus.gpu = ?",
        gpu
      ) as [bigint, bigint, ArrayBuffer] | undefined
      stored =
        row === undefined
          ? { newest: undefined, lastNs: 0n }
          : {
              newest: { sid: Number(row[1]), gpu, sortKey: Buffer.from(row[2]), lastNs: row[0] },
              lastNs: row[0]
            }
      this.gpus.set(gpu, stored)
    }
    return stored
  }

  private storedSeries(number: number): StoredSeries {
    let stored = this.stored.get(number)
    if (stored === undefined) {
      stored = this.findOrAdd(this.keys.get(number)!)
      this.stored.set(number, stored)
    }
    return stored
  }

  private findOrAdd(key: string): StoredSeries {
    const series = parseSeries(key)
    const bytes = sortKey(series)
    const found = this.statements.row(
      "SELECT series.sid, gpu, last_ns FROM series LEFT JOIN latest USING (sid) WHERE sort_key = ?",
      bytes
    ) as [bigint, bigint, bigint | null] | undefined
    if (found !== undefined) {
      return { sid: Number(found[0]), gpu: Number(found[1]), sortKey: bytes, lastNs: found[2] ?? undefined }
    }
    const uuid = textKey(series.uuid)
    this.statements.run("INSERT INTO gpus (uuid) VALUES (?) ON CONFLICT DO NOTHING", uuid)
    const [gpu] = this.statements.row("SELECT gpu FROM gpus WHERE uuid = ?", uuid) as [bigint]
    this.statements.run(
      "INSERT INTO series (sort_key, gpu, metric, hostname, gpu_id, series) VALUES (?, ?, ?, ?, ?, ?)",
      bytes,
      gpu,
      textKey(series.metricName),
      textKey(series.hostname),
      series.gpuId ?? null,
      key
    )
    const [sid] = this.statements.row("SELECT sid FROM series WHERE sort_key = ?", bytes) as [bigint]
    return { sid: Number(sid), gpu: Number(gpu), sortKey: bytes, lastNs: undefined }
  }
}
