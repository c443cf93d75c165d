/** What may be set about where samples are stored. */
import { Config, ConfigError, Either, Option } from "effect"
import { type Group, make, makeLate, type SettingRecord } from "../Setting.ts"
import { dataDir, storeFolder } from "./data.ts"
import { choice, duration, integer, orNone, text } from "./kinds.ts"

const dayMs = 24 * 3_600_000
const influxRetentionMs = 5 * dayMs

const storageType = {
  env: "STORAGE_TYPE",
  meaning: "Where samples are stored",
  kind: choice("TYPE", ["memory", "file", "influxdb"])
} as const

const inInflux = {
  retentionMs: makeLate({
    env: "RETENTION_PERIOD",
    meaning:
      "How old a stored sample may get. A bucket of InfluxDB is made with it; one that is there is changed only where this is set",
    kind: orNone(duration({ min: 1_000, max: 100 * 365 * dayMs })),
    default: () => "of_store" as const,
    shown: "120h with InfluxDB, else none"
  }),
  influxUrl: make({
    env: "INFLUXDB_URL",
    meaning: "Where InfluxDB 2 is",
    kind: text("URL", 4_096),
    default: "http://localhost:8086"
  }),
  influxToken: makeLate({
    env: "INFLUXDB_TOKEN",
    meaning: "The token that InfluxDB asks for; better set as a variable, as flags can be seen by others",
    kind: text("TOKEN", 4_096),
    default: () => undefined,
    shown: "no token"
  }),
  influxOrg: make({
    env: "INFLUXDB_ORG",
    meaning: "The organization in InfluxDB",
    kind: text("NAME"),
    default: "cisco"
  }),
  influxBucket: make({
    env: "INFLUXDB_BUCKET",
    meaning:
      "The bucket in InfluxDB; it and NAME_catalogue are made where they are missing and the token may",
    kind: text("NAME"),
    default: "gpu_telemetry"
  })
} satisfies SettingRecord

const shared = {
  storageType: make({ ...storageType, default: "influxdb" }),
  dataDir,
  ...inInflux
} satisfies SettingRecord

const own = {
  ...shared,
  storageType: makeLate({ ...storageType, default: () => undefined, shown: "memory; file with --data" }),
  memorySamplesMax: make({
    env: "MEMORY_MAX_SAMPLES",
    meaning: "Samples that the memory store keeps; beyond, the oldest go",
    kind: integer({ min: 1, max: 1_000_000_000 }),
    default: 1_000_000
  })
} satisfies SettingRecord

/** Where an InfluxDB is, what of it is used, and how long it keeps samples; 0 is for ever. */
export interface InfluxSettings {
  readonly url: string
  readonly token: string
  readonly org: string
  readonly bucket: string
  readonly retentionMs: number
  readonly isRetentionAsked: boolean
}

/** Where samples are stored, and for how long; 0 is for ever. A folder that was given and that no sample is kept in is told. */
export type StoreSettings =
  | {
      readonly kind: "memory"
      readonly samplesMax: number
      readonly retentionMs: number | undefined
      readonly unusedFolder: string | undefined
    }
  | { readonly kind: "file"; readonly directory: string; readonly retentionMs: number | undefined }
  | (InfluxSettings & { readonly kind: "influxdb"; readonly unusedFolder: string | undefined })

const missing = (name: string, problem: string) => Either.left(ConfigError.MissingData([name], problem))

const isHttp = (url: string): boolean => URL.canParse(url) && /^https?:/.test(url)

const influxConfig = Config.all({
  url: inInflux.influxUrl.config,
  token: inInflux.influxToken.config,
  org: inInflux.influxOrg.config,
  bucket: inInflux.influxBucket.config,
  asked: inInflux.retentionMs.config
})

/** `neededBy` says, as a clause, what a token is needed for. */
const influx = (
  { token, url, asked, ...where }: Config.Config.Success<typeof influxConfig>,
  neededBy: string
): Either.Either<InfluxSettings, ConfigError.ConfigError> => {
  if (token === undefined) {
    return missing("INFLUXDB_TOKEN", `INFLUXDB_TOKEN: not set, and ${neededBy} needs a token`)
  }
  if (!isHttp(url)) {
    const problem = `INFLUXDB_URL: ${JSON.stringify(url)} is not accepted, expected a URL such as http://localhost:8086`
    return Either.left(ConfigError.InvalidData(["INFLUXDB_URL"], problem))
  }
  const isRetentionAsked = asked !== "of_store"
  const retentionMs = isRetentionAsked ? (asked ?? 0) : influxRetentionMs
  return Either.right({ ...where, url, token, isRetentionAsked, retentionMs })
}

/** InfluxDB itself, whatever samples are stored in. */
export const influxSettings: Group<typeof inInflux, InfluxSettings> = {
  title: "Store",
  settings: inInflux,
  config: Config.mapOrFail(influxConfig, (choice) => influx(choice, "InfluxDB"))
}

const influxStoreConfig = Config.all({ choice: influxConfig, unusedFolder: shared.dataDir.config })

const influxStore = ({ choice, unusedFolder }: Config.Config.Success<typeof influxStoreConfig>) =>
  Either.map(
    influx(choice, "STORAGE_TYPE influxdb"),
    (settings): StoreSettings => ({ kind: "influxdb", ...settings, unusedFolder })
  )

/** The store of a process that has collectors and gateway in it. */
export const storeSettings: Group<typeof own, StoreSettings> = {
  title: "Store",
  settings: own,
  config: Config.all({
    type: own.storageType.config,
    dataDir: own.dataDir.config,
    samplesMax: own.memorySamplesMax.config,
    influx: influxStoreConfig
  }).pipe(
    Config.mapOrFail(({ type, dataDir, samplesMax, influx }) => {
      const { asked } = influx.choice
      const retentionMs = asked === "of_store" ? undefined : asked
      switch (type ?? (dataDir === undefined ? "memory" : "file")) {
        case "memory":
          return Either.right<StoreSettings>({
            ...{ kind: "memory", samplesMax, retentionMs },
            unusedFolder: dataDir
          })
        case "file":
          return dataDir === undefined
            ? missing("DATA_DIR", "DATA_DIR: not set (--data), and STORAGE_TYPE file needs a folder")
            : Either.right<StoreSettings>({ kind: "file", directory: storeFolder(dataDir), retentionMs })
        case "influxdb":
          return influxStore(influx)
      }
    })
  )
}

/** Why collectors and gateways in processes of their own can't meet in a store. */
const unshared = {
  memory:
    "a store in memory is of one process, and collectors and gateways of others would not see what is in it",
  file: "one process has the store's folder at a time, and collectors and gateways in processes of their own are several"
}

/** The store of a process that has collectors alone in it, or a gateway alone: one that processes share. */
export const sharedStoreSettings: Group<typeof shared, StoreSettings> = {
  title: "Store",
  settings: shared,
  config: Config.all({
    given: shared.storageType.given,
    type: shared.storageType.config,
    influx: influxStoreConfig
  }).pipe(
    Config.mapOrFail(({ given, type, influx }) => {
      if (type === "influxdb") return influxStore(influx)
      const name = Option.match(given, { onNone: () => "STORAGE_TYPE", onSome: (value) => value.name })
      const problem = `${name}: ${JSON.stringify(type)} is not accepted here, expected influxdb: ${unshared[type]}; run, all in one process, takes any store`
      return Either.left(ConfigError.InvalidData([name], problem))
    })
  )
}
