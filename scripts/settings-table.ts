/**
 * The README's table of settings. Printed, or with `--write` put in place between `<!-- settings -->` and
 * `<!-- /settings -->`.
 */
import { readFileSync, writeFileSync } from "node:fs"
import { commandSettings } from "../src/layers/settings/commands.ts"
import { settingsTable } from "../src/layers/settings/document.ts"

const table = settingsTable(commandSettings)

if (process.argv.includes("--write")) {
  const readme = new URL("../README.md", import.meta.url)
  const before = readFileSync(readme, "utf8")
  writeFileSync(
    readme,
    before.replace(
      /(<!-- settings -->\n)[\s\S]*(<!-- \/settings -->)/,
      (_, start, end) => `${start}${table}\n${end}`
    )
  )
} else {
  console.log(table)
}
