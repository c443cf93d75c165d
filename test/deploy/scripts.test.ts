/** Every Bash script of the project, wherever it lies. */
import { readFile } from "node:fs/promises"
import { join } from "node:path"
import { expect, test } from "vitest"
import { describeWith, execute, outcomeOf, root } from "./Tool.ts"

/** Files that git knows, or would take. */
const files = async () =>
  (await execute("git", ["ls-files", "--cached", "--others", "--exclude-standard", "--deduplicate"]))
    .trim()
    .split("\n")

const scripts = async (): Promise<ReadonlyArray<string>> => {
  const found = await Promise.all(
    (await files()).map(async (file) => {
      const text = await readFile(join(root, file), "utf8").catch(() => "")
      return /^#!.*\b(bash|sh)\n/.test(text) ? [file] : []
    })
  )
  return found.flat()
}

describeWith(["git", "shellcheck"], "shellcheck", () => {
  test("has nothing to say of any script", async () => {
    const found = await scripts()
    for (const file of [".ci/run", "deploy/kind/setup.sh", "test/integration/integration.sh"])
      expect(found).toContain(file)
    const outcome = await outcomeOf("shellcheck", ["--external-sources", ...found])
    expect(outcome).toEqual({ exitCode: 0, stdout: "", stderr: "" })
  })
})
