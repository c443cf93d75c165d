/** What may be set about where samples come from and how they are read. */
import { Config, ConfigError, Either, Option } from "effect"
import { type Group, make, makeLate, type SettingRecord, type Values } from "../Setting.ts"
import {
  boolean,
  bytes,
  choice,
  type FleetShape,
  fleetShape,
  integer,
  orNone,
  someOf,
  text
} from "./kinds.ts"

const KiB = 1024
const MiB = 1024 * KiB

/** The file of a node, as its streamers see it. */
const mountedFile = "/data/dcgm_metrics.csv"

const csvPath = (path: string | undefined, shown: string) =>
  makeLate({
    env: "CSV_PATH",
    flag: "csv",
    meaning: "The CSV file to read",
    kind: text("PATH", 4096),
    default: () => path,
    shown
  })

const beside = {
  simulate: make({
    env: "SIMULATE",
    meaning: "Instead of a file, a simulated fleet of so many hosts with so many GPUs each",
    kind: orNone(fleetShape),
    default: undefined
  }),
  simulateSeed: make({
    env: "SIMULATE_SEED",
    meaning: "Which simulated fleet: the same seed gives the same values",
    kind: integer({ min: 0, max: 2 ** 32 - 1 }, "SEED"),
    default: 1
  }),
  simulateFaults: make({
    env: "SIMULATE_FAULTS",
    meaning:
      "What goes wrong in the simulated fleet: XID errors end jobs, GPUs fall silent or get hot, values are DCGM's " +
      "blanks, rows are malformed in every way",
    kind: someOf("FAULTS", ["xid", "silent", "hot", "sentinel", "rejects"]),
    default: []
  }),
  loop: make({
    env: "LOOP",
    meaning: "Whether the source starts again when it has ended",
    kind: boolean,
    isSwitch: true,
    default: true
  }),
  timestamps: make({
    env: "TIMESTAMPS",
    meaning:
      "Which time a sample gets: when it was read (now), or its own (original; a loop then stores nothing new)",
    kind: choice("WHICH", ["now", "original"]),
    default: "now"
  }),
  maxRowBytes: make({
    env: "MAX_ROW_BYTES",
    meaning: "Longest row of a CSV file; a longer one is rejected",
    // No more, so that the JSON of any row, every byte of it escaped, fits into a payload.
    kind: bytes({ min: KiB, max: MiB }),
    default: MiB
  })
} satisfies SettingRecord

type SimulatedFaults = Values<typeof beside>["simulateFaults"]

/** Where samples come from. */
export type SourceChoice =
  /** `path` is absent where the file that the product ships is meant. */
  | { readonly kind: "csv"; readonly path: string | undefined }
  | ({ readonly kind: "simulated"; readonly seed: number; readonly faults: SimulatedFaults } & FleetShape)

type CsvPath = ReturnType<typeof csvPath>

/**
 * Both of a file and a fleet can't be read. A flag silences the other one's variable, which a shell or a manifest may
 * have set long ago; of the same rank they contradict each other.
 */
const sourceChoice = (csvPath: CsvPath): Config.Config<SourceChoice> =>
  Config.all({
    csv: csvPath.given,
    fleet: beside.simulate.given,
    path: csvPath.config,
    shape: beside.simulate.config,
    seed: beside.simulateSeed.config,
    faults: beside.simulateFaults.config
  }).pipe(
    Config.mapOrFail(({ csv, fleet, path, shape, seed, faults }) => {
      const file = { kind: "csv", path } as const
      if (shape === undefined) return Either.right(file)
      const simulated = { kind: "simulated", seed, faults, ...shape } as const
      if (Option.isNone(csv) || Option.isNone(fleet)) return Either.right(simulated)
      if (csv.value.isFlag !== fleet.value.isFlag) return Either.right(csv.value.isFlag ? file : simulated)
      const names = `${csv.value.name} and ${fleet.value.name}`
      return Either.left(
        ConfigError.InvalidData(
          [csv.value.name],
          `${names} contradict each other, expected at most one of them`
        )
      )
    })
  )

/** Where samples come from and how they are read. */
export interface SourceSettings {
  readonly source: SourceChoice
  readonly loop: boolean
  readonly timestamps: "now" | "original"
  readonly maxRowBytes: number
}

const settingsWith = (csvPath: CsvPath) => {
  const settings = { csvPath, ...beside }
  const config: Config.Config<SourceSettings> = Config.all({
    source: sourceChoice(csvPath),
    loop: beside.loop.config,
    timestamps: beside.timestamps.config,
    maxRowBytes: beside.maxRowBytes.config
  })
  return { title: "Source", settings, config } satisfies Group<typeof settings, SourceSettings>
}

/** Where a program that is started without more reads: something to see. */
export const sourceSettings = settingsWith(csvPath(undefined, "the sample that is shipped"))

/** Where a streamer of its own reads: the file that is mounted for it. */
export const loneSourceSettings = settingsWith(csvPath(mountedFile, mountedFile))
