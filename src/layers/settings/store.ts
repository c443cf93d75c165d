/** What may be set about where samples are stored. */
import { Config, ConfigError, Either } from "effect"
import { type Group, make, makeLate, type SettingRecord } from "../Setting.ts"
import { choice, duration, integer, orNone, text } from "./kinds.ts"

const dayMs = 24 * 3_600_000
const influxRetentionMs = 5 * dayMs

const store = {
  storageType: makeLate({
    env: "STORAGE_TYPE",
    meaning: "Where samples are stored",
    kind: choice("TYPE", ["memory", "file", "influxdb"]),
    default: () => undefined,
    shown: "memory; file with --data"
  }),
  dataDir: makeLate({
    env: "DATA_DIR",
    flag: "data",
    meaning: "Folder of what outlives the process; it is made where it is missing",
    kind: text("DIR", 4_096),
    default: () => undefined,
    shown: "no folder"
  }),
  retentionMs: makeLate({
    env: "RETENTION_PERIOD",
    meaning:
      "How old a stored sample may get. A bucket of InfluxDB is made with it; one that is there is changed only where this is set",
    kind: orNone(duration({ min: 1_000, max: 100 * 365 * dayMs })),
    default: () => "of_store" as const,
    shown: "120h with InfluxDB, else none"
  }),
  memorySamplesMax: make({
    env: "MEMORY_MAX_SAMPLES",
    meaning: "Samples that the memory store keeps; beyond, the oldest go",
    kind: integer({ min: 1, max: 1_000_000_000 }),
    default: 1_000_000
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

/** Where samples are stored, and for how long; 0 is for ever. A folder that was given and that nothing is kept in is told. */
export type StoreSettings =
  | {
      readonly kind: "memory"
      readonly samplesMax: number
      readonly retentionMs: number | undefined
      readonly unusedFolder: string | undefined
    }
  | { readonly kind: "file"; readonly dataDir: string; readonly retentionMs: number | undefined }
  | {
      readonly kind: "influxdb"
      readonly url: string
      readonly token: string
      readonly org: string
      readonly bucket: string
      readonly retentionMs: number
      readonly isRetentionAsked: boolean
      readonly unusedFolder: string | undefined
    }

const missing = (name: string, problem: string) => Either.left(ConfigError.MissingData([name], problem))

const isHttp = (url: string): boolean => URL.canParse(url) && /^https?:/.test(url)

const storeChoice: Config.Config<StoreSettings> = Config.all({
  type: store.storageType.config,
  dataDir: store.dataDir.config,
  retentionMs: store.retentionMs.config,
  samplesMax: store.memorySamplesMax.config,
  url: store.influxUrl.config,
  token: store.influxToken.config,
  org: store.influxOrg.config,
  bucket: store.influxBucket.config
}).pipe(
  Config.mapOrFail(
    ({
      type,
      dataDir,
      retentionMs: asked,
      samplesMax,
      url,
      token,
      org,
      bucket
    }): Either.Either<StoreSettings, ConfigError.ConfigError> => {
      const retentionMs = asked === "of_store" ? undefined : asked
      switch (type ?? (dataDir === undefined ? "memory" : "file")) {
        case "memory":
          return Either.right({ kind: "memory", samplesMax, retentionMs, unusedFolder: dataDir })
        case "file":
          return dataDir === undefined
            ? missing("DATA_DIR", "DATA_DIR: not set (--data), and STORAGE_TYPE file needs a folder")
            : Either.right({ kind: "file", dataDir, retentionMs })
        case "influxdb": {
          if (token === undefined) {
            return missing(
              "INFLUXDB_TOKEN",
              "INFLUXDB_TOKEN: not set, and STORAGE_TYPE influxdb needs a token"
            )
          }
          if (!isHttp(url)) {
            return Either.left(
              ConfigError.InvalidData(
                ["INFLUXDB_URL"],
                `INFLUXDB_URL: ${JSON.stringify(url)} is not accepted, expected a URL such as http://localhost:8086`
              )
            )
          }
          const isRetentionAsked = asked !== "of_store"
          return Either.right({
            ...{ kind: "influxdb", url, token, org, bucket, isRetentionAsked, unusedFolder: dataDir },
            retentionMs: isRetentionAsked ? (retentionMs ?? 0) : influxRetentionMs
          })
        }
      }
    }
  )
)

export const storeSettings: Group<typeof store, StoreSettings> = {
  title: "Store",
  settings: store,
  config: storeChoice
}
