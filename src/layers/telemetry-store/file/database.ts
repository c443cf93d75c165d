/**
 * The file: its tables, how it is opened, and what is refused.
 *
 * A sample is a row of `samples`, whose key is GPU, time, series: a page of a GPU is a walk of the table, one of all GPUs
 * a walk of the index over time, which holds all of a sample. Texts that are compared are stored as `textKey`; the view `telemetry` shows all of it
 * as people would want to read it. `user_version` tells later versions which tables these are.
 */
import { join } from "node:path"
import Database from "libsql"
import { lockDirectory } from "../../DirectoryLock.ts"

export type Connection = Database.Database

/** Tells this kind of file from other databases: "GPUT". */
const applicationId = 0x47505554
const schemaVersion = 1

const schema = `
  CREATE TABLE gpus (
    gpu INTEGER PRIMARY KEY AUTOINCREMENT,
    uuid BLOB NOT NULL UNIQUE,
    newest_sid INTEGER,
    last_ns INTEGER
  );
  CREATE TABLE series (
    sid INTEGER PRIMARY KEY AUTOINCREMENT,
    sort_key BLOB NOT NULL UNIQUE,
    gpu INTEGER NOT NULL,
    metric BLOB NOT NULL,
    hostname BLOB NOT NULL,
    gpu_id INTEGER,
    series TEXT NOT NULL
  );
  CREATE INDEX series_gpu ON series (gpu, metric);
  CREATE INDEX series_metric ON series (metric);
  CREATE INDEX series_hostname ON series (hostname);
  CREATE TABLE latest (sid INTEGER PRIMARY KEY, last_ns INTEGER NOT NULL);
  CREATE TABLE samples (
    gpu INTEGER NOT NULL,
    ts INTEGER NOT NULL,
    sid INTEGER NOT NULL,
    value REAL NOT NULL,
    PRIMARY KEY (gpu, ts, sid)
  ) WITHOUT ROWID;
  CREATE INDEX samples_ts ON samples (ts, gpu, sid, value);
  CREATE TABLE figures (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
  INSERT INTO figures VALUES ('samples', 0), ('evicted', 0);
  CREATE VIEW telemetry AS
    SELECT ts AS time_ns, datetime(ts / 1000000000, 'unixepoch') AS time, CAST(metric AS TEXT) AS metric_name,
      CAST(uuid AS TEXT) AS uuid, CAST(hostname AS TEXT) AS hostname, gpu_id, value, series
    FROM samples JOIN series USING (sid) JOIN gpus ON gpus.gpu = samples.gpu;
`

export const fileIn = (directory: string): string => join(directory, "telemetry.sqlite")

const messageOf = (cause: unknown): string => (cause instanceof Error ? cause.message : String(cause))

const singleNumber = (connection: Connection, pragma: string): number =>
  (connection.prepare(`PRAGMA ${pragma}`).raw().all() as Array<[number]>)[0]![0]

const connect = (file: string, timeout: number): Connection => {
  try {
    return new Database(file, { timeout })
  } catch (cause) {
    throw new Error(`${file} can't be opened: ${messageOf(cause)}`)
  }
}

/** Makes the folder ours until the process ends, however it does. */
export const lockStore = (directory: string): { readonly close: () => void } =>
  lockDirectory(directory, "telemetry.lock")

/** Whether there is a file of ours, that this version can read; fails where it is anything else but an empty one. */
const hasTables = (connection: Connection): boolean => {
  const version = singleNumber(connection, "user_version")
  const isEmpty = connection.prepare("SELECT 1 FROM sqlite_schema").all().length === 0
  if (isEmpty) return false
  if (singleNumber(connection, "application_id") !== applicationId) {
    throw new Error("it is a database of another program")
  }
  if (version > schemaVersion) {
    throw new Error(`a newer version of this program made it (its tables have version ${version})`)
  }
  return true
}

/** How long a statement waits for another process, as one that copies the file. */
const busyTimeoutMs = 5_000
/** What each thread keeps of the file in memory. */
const cacheKib = 32 * 1024

const open = (directory: string): Connection => {
  const connection = connect(fileIn(directory), busyTimeoutMs)
  connection.exec(`PRAGMA cache_size = -${cacheKib}`)
  return connection
}

/** Opens the file to write, making it where there is none. */
export const openWriter = (directory: string): Connection => {
  const connection = open(directory)
  const isNew = !hasTables(connection)
  connection.exec("PRAGMA journal_mode = WAL")
  // What a commit reports is on the disk then, even if the power fails.
  connection.exec("PRAGMA synchronous = FULL")
  if (isNew) {
    const marks = `PRAGMA application_id = ${applicationId}; PRAGMA user_version = ${schemaVersion}`
    connection.exec(`BEGIN IMMEDIATE; ${schema} ${marks}; COMMIT`)
  }
  return connection
}

/** Opens the file that a writer has made, to read. */
export const openReader = (directory: string): Connection => {
  const connection = open(directory)
  connection.exec("PRAGMA query_only = ON")
  return connection
}

/** Runs `body` in a transaction; of one that fails nothing is left. */
export const inTransaction = <A>(
  connection: Connection,
  kind: "IMMEDIATE" | "DEFERRED",
  body: () => A
): A => {
  connection.exec(`BEGIN ${kind}`)
  try {
    const result = body()
    connection.exec("COMMIT")
    return result
  } catch (cause) {
    // Some failures, as a full disk, have rolled back already.
    if (connection.inTransaction) connection.exec("ROLLBACK")
    throw cause
  }
}
