/** Settings for people to read: the table of the README and the flags of the help. */
import type { Group, Setting, SettingRecord } from "../Setting.ts"

/** The groups of settings of commands, by the commands' names. */
export type GroupsOfCommands = Readonly<
  Record<string, { readonly groups: ReadonlyArray<Group<SettingRecord, unknown>> }>
>

/** A setting as it is shown once for all commands that have it. */
interface Entry {
  readonly title: string
  readonly setting: Setting<unknown>
  readonly commands: ReadonlyArray<string>
  readonly defaultShown: string
}

/** One default where all commands have it, else each with those that do. */
const defaultOf = (shown: ReadonlyArray<readonly [command: string, shown: string]>): string => {
  const distinct = [...new Set(shown.map(([, text]) => text))]
  if (distinct.length === 1) return distinct[0]!
  return distinct
    .map((text) => {
      const commands = shown.filter(([, other]) => other === text).map(([command]) => command)
      return `${text} (${commands.join(", ")})`
    })
    .join("; ")
}

/** What commands have in common is shown once; what means something else to another command, once more. */
const entriesOf = (commands: GroupsOfCommands): ReadonlyArray<Entry> => {
  const found = new Map<string, { title: string; setting: Setting<unknown>; of: Array<[string, string]> }>()
  for (const [command, { groups }] of Object.entries(commands)) {
    for (const { title, settings } of groups) {
      for (const setting of Object.values(settings)) {
        const key = [title, setting.env, setting.meaning].join("\n")
        const entry = found.get(key) ?? { title, setting, of: [] }
        entry.of.push([command, setting.defaultShown])
        found.set(key, entry)
      }
    }
  }
  return [...found.values()].map(({ title, setting, of }) => ({
    title,
    setting,
    commands: of.map(([command]) => command),
    defaultShown: defaultOf(of)
  }))
}

const byTitle = (entries: ReadonlyArray<Entry>): ReadonlyArray<readonly [string, ReadonlyArray<Entry>]> =>
  [...new Set(entries.map(({ title }) => title))].map((title) => [
    title,
    entries.filter((entry) => entry.title === title)
  ])

/** The forms of a setting's flag. */
const flagForms = (setting: Setting<unknown>): string =>
  setting.isSwitch
    ? `${setting.flag}, ${setting.flag.replace("--", "--no-")}`
    : `${setting.flag} ${setting.kind.placeholder}`

const cell = (text: string): string => text.replaceAll("|", "\\|").replaceAll("<", "&lt;")

const code = (text: string): string => `\`${text}\``

/** One Markdown table of the settings of all commands, a row per setting, without a line end behind it. */
export const settingsTable = (commands: GroupsOfCommands): string => {
  const rows = byTitle(entriesOf(commands)).flatMap(([title, entries]) =>
    entries.map(({ setting, defaultShown, ...entry }) => {
      const older = setting.aliases.map(code)
      const names = code(setting.env) + (older.length === 0 ? "" : ` (also ${older.join(", ")})`)
      return [
        title,
        entry.commands.map(code).join(", "),
        flagForms(setting).split(", ").map(code).join(", "),
        names,
        cell(defaultShown),
        `${cell(setting.meaning)}. Accepts ${cell(setting.kind.accepted)}`
      ]
    })
  )
  const header = ["Of", "Commands", "Flag", "Variable", "Default", "What it decides"]
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

/** The flags of commands under the titles of their groups; of several commands, each with those that have it. */
export const settingsHelp = (commands: GroupsOfCommands): string => {
  const isOfSeveral = Object.keys(commands).length > 1
  return byTitle(entriesOf(commands))
    .map(([title, entries]) =>
      [
        title.toUpperCase(),
        ...entries.map(({ setting, defaultShown, ...entry }) =>
          helpEntry(
            flagForms(setting),
            `${setting.meaning}. Accepts ${setting.kind.accepted}.`,
            `[${[setting.env, ...setting.aliases].join(", ")}; default: ${defaultShown}]` +
              (isOfSeveral ? ` (${entry.commands.join(", ")})` : "")
          )
        )
      ].join("\n")
    )
    .join("\n\n")
}
