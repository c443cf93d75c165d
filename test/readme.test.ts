import { readFileSync } from "node:fs"
import { expect, it } from "vitest"
import { commandSettings } from "../src/layers/settings/commands.ts"
import { settingsTable } from "../src/layers/settings/document.ts"

const readme = readFileSync(new URL("../README.md", import.meta.url), "utf8")

it("the README's table of settings is the one that the settings make (npx tsx scripts/settings-table.ts --write)", () => {
  const table = /<!-- settings -->\n([\s\S]*)\n<!-- \/settings -->/.exec(readme)?.[1]
  expect(table).toBe(settingsTable(commandSettings))
})
