/** What may be set about who administers an InfluxDB that is set up. */
import { Config, ConfigError, Either, Option } from "effect"
import { type Group, group, make, makeLate, type Values } from "../Setting.ts"
import { text } from "./kinds.ts"

/** InfluxDB takes no other password, as bcrypt ends at the larger. */
const passwordBytes = { min: 8, max: 72 }
const passwordAccepted = `a text of ${passwordBytes.min} to ${passwordBytes.max} bytes`

const settings = {
  username: make({
    env: "INFLUXDB_USERNAME",
    meaning: "The administrator whom a new InfluxDB gets",
    kind: text("NAME"),
    default: "admin"
  }),
  password: makeLate({
    env: "INFLUXDB_PASSWORD",
    meaning:
      "The administrator's password, which only a new InfluxDB needs; better set as a variable, as flags can be seen by others",
    // What is wrong with it is told below, without telling it.
    kind: { ...text("PASSWORD"), accepted: passwordAccepted, parse: Option.some },
    default: () => undefined,
    shown: "no password"
  })
}

const { title, config } = group("InfluxDB setup", settings)

export const administratorSettings: Group<typeof settings> = {
  title,
  settings,
  config: Config.mapOrFail(
    config,
    (administrator): Either.Either<Values<typeof settings>, ConfigError.ConfigError> => {
      const { password } = administrator
      const bytes = password === undefined ? passwordBytes.min : Buffer.byteLength(password)
      return bytes >= passwordBytes.min && bytes <= passwordBytes.max
        ? Either.right(administrator)
        : Either.left(
            ConfigError.InvalidData(
              ["INFLUXDB_PASSWORD"],
              `INFLUXDB_PASSWORD: of ${bytes} bytes is not accepted, expected ${passwordAccepted}`
            )
          )
    }
  )
}
