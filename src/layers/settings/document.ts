/** Settings for people to read: the table of the README and the flags of the help. */
import type { Group, Setting, SettingRecord } from "../Setting.ts"

type AnyGroup = Group<SettingRecord, unknown>

/** The forms of a setting's flag. */
const flagForms = (setting: Setting<unknown>): string =>
  setting.isSwitch
    ? `${setting.flag}, ${setting.flag.replace("--", "--no-")}`
    : `${setting.flag} ${setting.kind.placeholder}`

const cell = (text: string): string => text.replaceAll("|", "\\|").replaceAll("<", "&lt;")

const code = (text: string): string => `\`${text}\``

/** One Markdown table of all groups, a row per setting, without a line end behind it. */
export const settingsTable = (groups: ReadonlyArray<AnyGroup>): string => {
  const rows = groups.flatMap(({ title, settings }) =>
    Object.values(settings).map((setting) => {
      const older = setting.aliases.map(code)
      const names = code(setting.env) + (older.length === 0 ? "" : ` (also ${older.join(", ")})`)
      return [
        title,
        flagForms(setting).split(", ").map(code).join(", "),
        names,
        cell(setting.defaultShown),
        `${cell(setting.meaning)}. Accepts ${cell(setting.kind.accepted)}`
      ]
    })
  )
  const header = ["Of", "Flag", "Variable", "Default", "What it decides"]
  return [header, header.map(() => "---"), ...rows].map((row) => `| ${row.join(" | ")} |`).join("\n")
}

/** Breaks a text at blanks into lines of at most `width` characters where it can. */
const wrap = (text: string, width: number): ReadonlyArray<string> => {
  const lines: Array<string> = []
  for (const word of text.split(" ")) {
    const line = lines.at(-1)
    if (line !== undefined && line.length + 1 + word.length <= width)
      lines[lines.length - 1] = `${line} ${word}`
    else lines.push(word)
  }
  return lines
}

/** An entry of a help text: what is typed, and below it, indented, what it means. */
export const helpEntry = (typed: string, ...meaning: ReadonlyArray<string>): string =>
  [`  ${typed}`, ...meaning.flatMap((text) => wrap(text, 88)).map((line) => `      ${line}`)].join("\n")

/** The flags of all groups under their titles. */
export const settingsHelp = (groups: ReadonlyArray<AnyGroup>): string =>
  groups
    .map(({ title, settings }) =>
      [
        `${title.toUpperCase()}`,
        ...Object.values(settings).map((setting) =>
          helpEntry(
            flagForms(setting),
            `${setting.meaning}. Accepts ${setting.kind.accepted}.`,
            `[${[setting.env, ...setting.aliases].join(", ")}; default: ${setting.defaultShown}]`
          )
        )
      ].join("\n")
    )
    .join("\n\n")
