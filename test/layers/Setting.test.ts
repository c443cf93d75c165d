import { hostname } from "node:os"
import { it } from "@effect/vitest"
import { Config, ConfigProvider, Effect, Exit, FastCheck, Option } from "effect"
import { describe, expect } from "vitest"
import { load, make, SettingError, withFlags } from "../../src/layers/Setting.ts"
import { brokerSettings } from "../../src/layers/settings/broker.ts"
import { brokerClientSettings } from "../../src/layers/settings/broker-client.ts"
import { brokerHttpSettings } from "../../src/layers/settings/broker-http.ts"
import { brokerServerSettings } from "../../src/layers/settings/broker-server.ts"
import { commandSettings, runSettings } from "../../src/layers/settings/commands.ts"
import { formatDuration, parseDuration } from "../../src/layers/settings/duration.ts"
import * as kinds from "../../src/layers/settings/kinds.ts"
import { ignoredVariablesSet } from "../../src/layers/settings/process.ts"
import { loneSourceSettings, sourceSettings } from "../../src/layers/settings/source.ts"
import { sharedStoreSettings, storeSettings } from "../../src/layers/settings/store.ts"
import { loneStreamerSettings, streamerSettings } from "../../src/layers/settings/streamer.ts"

type Texts = Readonly<Record<string, string>>

/** What a config gives, or the problems that it tells, under variables and flags. */
const read = <A>(
  config: Config.Config<A>,
  variables: Texts,
  flags: Texts = {}
): A | ReadonlyArray<string> => {
  const exit = load(config).pipe(
    withFlags(new Map(Object.entries(flags))),
    Effect.withConfigProvider(ConfigProvider.fromMap(new Map(Object.entries(variables)))),
    Effect.runSyncExit
  )
  if (Exit.isSuccess(exit)) return exit.value
  const error = exit.cause._tag === "Fail" ? exit.cause.error : undefined
  expect(error).toBeInstanceOf(SettingError)
  return error!.problems
}

const batchSize = streamerSettings.settings.batchSize.config

describe("a setting", () => {
  it("is its default where neither flag nor variable is set", () => {
    expect(read(batchSize, {})).toBe(100)
  })

  it("is its variable, and its flag before that", () => {
    expect(read(batchSize, { BATCH_SIZE: "7" })).toBe(7)
    expect(read(batchSize, { BATCH_SIZE: "7" }, { "--batch-size": "8" })).toBe(8)
  })

  it("counts as unset where it is empty or blank", () => {
    expect(read(batchSize, { BATCH_SIZE: "" })).toBe(100)
    expect(read(batchSize, { BATCH_SIZE: "  " }, { "--batch-size": "" })).toBe(100)
  })

  it("is read by its older names where its own is unset", () => {
    const setting = make({
      env: "NEW",
      aliases: ["OLD", "OLDER"],
      meaning: "",
      kind: kinds.integer({ min: 0, max: 9 }),
      default: 0
    })
    expect(read(setting.config, { OLDER: "3" })).toBe(3)
    expect(read(setting.config, { OLDER: "3", OLD: "2" })).toBe(2)
    expect(read(setting.config, { OLDER: "3", OLD: "2", NEW: "1" })).toBe(1)
    expect(read(setting.config, { OLD: "many" })).toEqual([
      'OLD: "many" is not accepted, expected an integer from 0 to 9'
    ])
  })

  it("takes its part of an older name that meant several", () => {
    const { httpHost, httpPort } = brokerHttpSettings("127.0.0.1").settings
    const both = Config.all([httpHost.config, httpPort.config])
    expect(read(both, {})).toEqual(["127.0.0.1", 9001])
    expect(read(both, { HTTP_ADDR: ":9101" })).toEqual(["0.0.0.0", 9101])
    expect(read(both, { HTTP_ADDR: "mq-server:9101" })).toEqual(["mq-server", 9101])
    expect(read(both, { HTTP_ADDR: "[::1]:0" })).toEqual(["::1", 0])
    expect(read(both, { HTTP_ADDR: "mq-server:9101", HTTP_PORT: "7" }, { "--http-host": "a" })).toEqual([
      "a",
      7
    ])
    for (const HTTP_ADDR of ["9101", "mq-server", "mq-server:", ":65536", "::1:80", "[]:80", "a:b:80"]) {
      expect(read(both, { HTTP_ADDR })).toEqual([
        `HTTP_ADDR: "${HTTP_ADDR}" is not accepted, expected an address such as 127.0.0.1:9001, [::1]:9001 or :9001 (every address of the machine)`
      ])
    }
  })

  it("that can't be read names variable or flag, value and what is accepted, in one line", () => {
    expect(read(batchSize, { BATCH_SIZE: "ten\nrows" })).toEqual([
      'BATCH_SIZE: "ten\\nrows" is not accepted, expected an integer from 1 to 10000'
    ])
    expect(read(batchSize, { BATCH_SIZE: "10" }, { "--batch-size": "0" })).toEqual([
      '--batch-size: "0" is not accepted, expected an integer from 1 to 10000'
    ])
  })

  it("that can't be read is told together with all others, each once", () => {
    const id = "x".repeat(253)
    expect(read(runSettings.config, { API_PORT: "http", LOOP: "maybe", INSTANCE_ID: id })).toEqual([
      'LOOP: "maybe" is not accepted, expected true, t, 1, yes, on or false, f, 0, no, off',
      `INSTANCE_ID: "${"x".repeat(100)}…" is not accepted, expected a text of at most 252 characters`,
      'API_PORT: "http" is not accepted, expected a port from 0 to 65535 (0: any that is free)'
    ])
  })

  it("accepts its own default, as it is shown", () => {
    for (const { settings } of Object.values(commandSettings).flatMap(({ groups }) => groups)) {
      for (const [field, setting] of Object.entries(settings)) {
        // What is told in words is no value.
        if (/[< ]/.test(setting.defaultShown)) continue
        const fallback = read(setting.config, {})
        expect(read(setting.config, { [setting.env]: setting.defaultShown }), field).toEqual(fallback)
      }
    }
  })

  it("has a variable and a flag that no other of its command has", () => {
    for (const { groups } of Object.values(commandSettings)) {
      const all = groups.flatMap(({ settings }) => Object.values(settings))
      expect(new Set(all.map(({ env }) => env)).size).toBe(all.length)
      expect(new Set(all.map(({ flag }) => flag)).size).toBe(all.length)
    }
  })

  it("has one flag, and one way to be written, in all commands", () => {
    const all = Object.values(commandSettings).flatMap(({ groups }) =>
      groups.flatMap(({ settings }) => Object.values(settings))
    )
    const ways = new Set(all.map(({ env, flag, kind }) => [env, flag, kind.accepted].join(" ")))
    expect(ways.size).toBe(new Set(all.map(({ env }) => env)).size)
  })
})

describe("the source", () => {
  const source = (variables: Texts, flags: Texts = {}) =>
    read(
      Config.map(sourceSettings.config, (settings) => settings.source),
      variables,
      flags
    )
  const fleet = { kind: "simulated", seed: 1, faults: [], hosts: 32, gpusPerHost: 8 }

  it("is the shipped sample, a file or a fleet", () => {
    expect(source({})).toEqual({ kind: "csv", path: undefined })
    expect(source({ CSV_PATH: "a,b=c.csv" })).toEqual({ kind: "csv", path: "a,b=c.csv" })
    expect(source({ SIMULATE: "32x8" })).toEqual(fleet)
    expect(source({ SIMULATE_SEED: "5" }, { "--simulate": "1X2" })).toEqual({
      kind: "simulated",
      seed: 5,
      faults: [],
      hosts: 1,
      gpusPerHost: 2
    })
  })

  it("named by a flag silences the other's variable", () => {
    expect(source({ CSV_PATH: "a.csv" }, { "--simulate": "32x8" })).toEqual(fleet)
    expect(source({ SIMULATE: "32x8" }, { "--csv": "a.csv" })).toEqual({ kind: "csv", path: "a.csv" })
  })

  it("can't be both", () => {
    expect(source({}, { "--csv": "a.csv", "--simulate": "32x8" })).toEqual([
      "--csv and --simulate contradict each other, expected at most one of them"
    ])
    expect(source({ CSV_PATH: "a.csv", SIMULATE: "32x8" })).toEqual([
      "CSV_PATH and SIMULATE contradict each other, expected at most one of them"
    ])
  })
})

describe("the store", () => {
  const storeOf = (given: Texts) => read(storeSettings.config, given)
  const influx = { STORAGE_TYPE: "influxdb", INFLUXDB_TOKEN: "t" }

  it("is memory, or a file where there is a folder, unless it is chosen", () => {
    expect(storeOf({})).toEqual({
      ...{ kind: "memory", samplesMax: 1_000_000, retentionMs: undefined, unusedFolder: undefined }
    })
    expect(storeOf({ DATA_DIR: "d" })).toEqual({
      ...{ kind: "file", directory: "d/store", retentionMs: undefined }
    })
    expect(storeOf({ DATA_DIR: "d", STORAGE_TYPE: "memory" })).toMatchObject({
      ...{ kind: "memory", unusedFolder: "d" }
    })
    expect(storeOf({ STORAGE_TYPE: "InfluxDB", INFLUXDB_TOKEN: "t" })).toEqual({
      ...{ kind: "influxdb", url: "http://localhost:8086", token: "t", org: "cisco" },
      ...{ bucket: "gpu_telemetry", retentionMs: 432_000_000, isRetentionAsked: false },
      unusedFolder: undefined
    })
  })

  it("keeps for ever where that is asked, and as is usual for it where nothing is", () => {
    const isRetentionAsked = true
    expect(storeOf({ ...influx, RETENTION_PERIOD: "none" })).toMatchObject({
      retentionMs: 0,
      isRetentionAsked
    })
    expect(storeOf({ ...influx, RETENTION_PERIOD: "2h" })).toMatchObject({
      ...{ retentionMs: 7_200_000, isRetentionAsked }
    })
    expect(storeOf({ DATA_DIR: "d", RETENTION_PERIOD: "2h" })).toMatchObject({ retentionMs: 7_200_000 })
    expect(storeOf({ RETENTION_PERIOD: "none" })).toMatchObject({ retentionMs: undefined })
  })

  it("that lacks what it needs is refused by the name of what is missing", () => {
    expect(storeOf({ STORAGE_TYPE: "file" })).toEqual([
      "DATA_DIR: not set (--data), and STORAGE_TYPE file needs a folder"
    ])
    expect(storeOf({ STORAGE_TYPE: "influxdb" })).toEqual([
      "INFLUXDB_TOKEN: not set, and STORAGE_TYPE influxdb needs a token"
    ])
    expect(storeOf({ ...influx, INFLUXDB_URL: "localhost:8086" })).toEqual([
      'INFLUXDB_URL: "localhost:8086" is not accepted, expected a URL such as http://localhost:8086'
    ])
  })
})

describe("the store of a collector or a gateway in a process of its own", () => {
  const storeOf = (variables: Texts, flags: Texts = {}) => read(sharedStoreSettings.config, variables, flags)

  it("is InfluxDB unless it is chosen", () => {
    expect(storeOf({ INFLUXDB_TOKEN: "t" })).toMatchObject({ kind: "influxdb", token: "t" })
    expect(storeOf({})).toEqual(["INFLUXDB_TOKEN: not set, and STORAGE_TYPE influxdb needs a token"])
  })

  it("is no other, and why is told", () => {
    expect(storeOf({ STORAGE_TYPE: "memory", INFLUXDB_TOKEN: "t" })).toEqual([
      'STORAGE_TYPE: "memory" is not accepted here, expected influxdb: a store in memory is of one process, and collectors ' +
        "and gateways of others would not see what is in it; run, all in one process, takes any store"
    ])
    expect(storeOf({ INFLUXDB_TOKEN: "t" }, { "--storage-type": "file" })).toEqual([
      '--storage-type: "file" is not accepted here, expected influxdb: one process has the store\'s folder at a time, and ' +
        "collectors and gateways in processes of their own are several; run, all in one process, takes any store"
    ])
  })
})

describe("the broker", () => {
  const GiB = 2 ** 30

  it("keeps its log in memory, or in a folder where there is one, and more and not for ever there", () => {
    const { config } = brokerSettings("block")
    expect(read(config, {})).toMatchObject({
      ...{ log: { kind: "memory" }, retentionBytes: GiB / 4, retentionMs: null, whenFull: "block" }
    })
    expect(read(config, { DATA_DIR: "d", FSYNC: "never" })).toMatchObject({
      log: { kind: "files", directory: "d/broker/log", journal: "d/broker/journal", fsync: "never" },
      ...{ retentionBytes: 10 * GiB, retentionMs: 168 * 3_600_000 }
    })
    expect(read(config, { DATA_DIR: "d", LOG_RETENTION: "none", LOG_RETENTION_BYTES: "1GiB" })).toMatchObject(
      {
        ...{ retentionBytes: GiB, retentionMs: null }
      }
    )
    expect(read(brokerSettings("drop_oldest").config, {})).toMatchObject({ whenFull: "drop_oldest" })
  })

  it("needs a certificate and its key, or neither, and so do its peers", () => {
    for (const { config } of [brokerServerSettings("h"), brokerClientSettings]) {
      expect(read(config as Config.Config<unknown>, { MQ_TLS_CERT: "c.pem" })).toEqual([
        "MQ_TLS_KEY: not set, and MQ_TLS_CERT needs it"
      ])
      expect(read(config as Config.Config<unknown>, { MQ_TLS_KEY: "k.pem" })).toEqual([
        "MQ_TLS_CERT: not set, and MQ_TLS_KEY needs it"
      ])
    }
  })

  it("asks peers for certificates only where it has one itself", () => {
    expect(read(brokerServerSettings("h").config as Config.Config<unknown>, { MQ_TLS_CA: "ca.pem" })).toEqual(
      ["MQ_TLS_CERT: not set, and MQ_TLS_CA needs it"]
    )
  })

  it("is spoken to in the clear unless something says otherwise", () => {
    const { config } = brokerClientSettings
    const files = { ca: undefined, certificate: undefined, key: undefined, servername: undefined }
    expect(read(config, {})).toEqual({
      ...{ host: "localhost", port: 9000, silenceMsMax: 5_000, token: undefined, tls: undefined }
    })
    expect(read(config, { MQ_TLS: "on" })).toMatchObject({ tls: files })
    expect(read(config, { MQ_TLS_CA: "ca.pem" })).toMatchObject({ tls: { ...files, ca: "ca.pem" } })
    expect(read(config, { MQ_PORT: "0" })).toEqual([
      'MQ_PORT: "0" is not accepted, expected a port from 1 to 65535'
    ])
  })
})

describe("a streamer in a process of its own", () => {
  it("has its host's name, and its part's number where it shares the source", () => {
    const { config } = loneStreamerSettings
    expect(read(config, {})).toMatchObject({ shard: undefined, streamerId: `streamer-${hostname()}` })
    const shard = { index: 1, count: 3, by: "host" }
    expect(read(config, { SHARD: "1/3" })).toMatchObject({ shard, streamerId: `streamer-${hostname()}-1` })
    expect(read(config, { SHARD: "1/3", INSTANCE_ID: "s" })).toMatchObject({ shard, streamerId: "s" })
    for (const SHARD of ["3/3", "1", "-1/3", "1/1001", "a/b", "1/3/5"]) {
      expect(read(config, { SHARD })).toEqual([
        `SHARD: "${SHARD}" is not accepted, expected none or i/N, such as 0/4: the part i, from 0 to N-1, of N, at most 1000`
      ])
    }
  })

  it("reads the file that is mounted for it", () => {
    expect(read(loneSourceSettings.config, {})).toMatchObject({
      source: { kind: "csv", path: "/data/dcgm_metrics.csv" }
    })
  })
})

it("variables of the earlier system that mean nothing here are found", () => {
  expect(read(ignoredVariablesSet, { GIN_MODE: "release", MQ_TOPIC: "t", LOOP: "1" })).toEqual([
    "GIN_MODE",
    "MQ_TOPIC"
  ])
})

describe("kinds", () => {
  const reads = <A>(
    kind: kinds.Kind<A>,
    accepted: Readonly<Record<string, NoInfer<A>>>,
    refused: ReadonlyArray<string>
  ) => {
    for (const [text, value] of Object.entries(accepted)) {
      expect(kind.parse(text), text).toEqual(Option.some(value))
    }
    for (const text of refused) expect(kind.parse(text), text).toEqual(Option.none())
  }

  it("durations are Go's and Effect's", () => {
    reads(
      kinds.duration({ min: 0, max: 1e12 }),
      {
        "500ms": 500,
        "5s": 5_000,
        "120h": 432_000_000,
        "1h30m": 5_400_000,
        "1.5h": 5_400_000,
        ".5s": 500,
        "1500us": 2,
        "0": 0,
        "5 seconds": 5_000,
        "1 hour": 3_600_000
      },
      ["5", "s", "-5s", "5 s", "1h 30m", "Infinity", "1e3s", "five seconds", "-1 seconds"]
    )
    reads(kinds.duration(), {}, ["0s", "577h", "1us"])
  })

  it("a duration in Go's notation is read as it was", () => {
    FastCheck.assert(
      FastCheck.property(FastCheck.oneof(FastCheck.nat(100_000), FastCheck.nat(2 ** 31 - 1)), (ms) => {
        expect(parseDuration(formatDuration(ms))).toEqual(Option.some(ms))
      })
    )
  })

  it("sizes have binary and decimal units, or none", () => {
    reads(
      kinds.bytes({ min: 0, max: Number.MAX_SAFE_INTEGER }),
      { "256MiB": 2 ** 28, "10GiB": 10 * 2 ** 30, "1.5 kib": 1536, "10kB": 10_000, "17": 17, "17B": 17 },
      ["-1", "1.5", "1.0001KiB", "10 Gi B", "MiB", "1XB", "99999999TiB"]
    )
    FastCheck.assert(
      FastCheck.property(
        FastCheck.nat(2 ** 31 - 1),
        FastCheck.constantFrom(1, 2 ** 10, 2 ** 20),
        (n, unit) => {
          const kind = kinds.bytes({ min: 0, max: Number.MAX_SAFE_INTEGER })
          expect(kind.parse(kind.show(n * unit))).toEqual(Option.some(n * unit))
        }
      )
    )
  })

  it("booleans are Go's and Effect's", () => {
    for (const text of ["true", "TRUE", "t", "1", "yes", "on"]) reads(kinds.boolean, { [text]: true }, [])
    for (const text of ["false", "F", "0", "no", "off"]) reads(kinds.boolean, { [text]: false }, [])
    reads(kinds.boolean, {}, ["maybe", "2", "y e s"])
  })

  it("integers, ports, rates, offsets, fleets and choices refuse what they can't mean", () => {
    reads(kinds.integer({ min: -1, max: 9 }), { "-1": -1, "+9": 9, "-0": 0 }, [
      "10",
      "-2",
      "1.0",
      "1e0",
      "0x1"
    ])
    reads(kinds.port, { "0": 0, "65535": 65_535 }, ["65536", "-1", "http"])
    reads(kinds.rate, { max: "max", MAX: "max", "0.5": 0.5, "1000": 1000 }, [
      "0",
      "-1",
      "1e9",
      "fast",
      "Infinity"
    ])
    reads(kinds.startOffset, { earliest: "earliest", Latest: "latest", "0": 0, "17": 17 }, [
      "-1",
      "1.5",
      "newest",
      "9007199254740993"
    ])
    reads(kinds.fleetShape, { "2x3": { hosts: 2, gpusPerHost: 3 } }, [
      "0x1",
      "1x0",
      "2",
      "2x",
      "x3",
      "99999x1"
    ])
    reads(kinds.choice("WHICH", ["now", "original"]), { now: "now", Original: "original" }, ["then"])
    reads(kinds.orNone(kinds.port), { none: undefined, "1": 1 }, ["nothing"])
    expect(Option.map(kinds.logLevel.parse("WARN"), (level) => level.label)).toEqual(Option.some("WARN"))
    reads(kinds.logLevel, {}, ["all", "loud"])
  })
})
