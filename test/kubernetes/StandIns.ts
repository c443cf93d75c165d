/** Programs that stand in for some that can't be had where tests run: each notes how it was called, and answers as it is told to. */
import { chmod, mkdir, readFile, writeFile } from "node:fs/promises"
import { delimiter, join } from "node:path"

export interface StandIns {
  /** What makes a program find them before any of the same names. */
  readonly env: { readonly PATH: string }
  /** How they were called, in order: name and arguments. */
  readonly calls: () => Promise<ReadonlyArray<string>>
}

/** Writes them into a folder; `answers` has the Bash of each, by name. */
export const standIns = async (folder: string, answers: Record<string, string>): Promise<StandIns> => {
  const record = join(folder, "calls")
  const programs = join(folder, "bin")
  await mkdir(programs, { recursive: true })
  await writeFile(record, "")
  for (const [name, answer] of Object.entries(answers)) {
    const program = join(programs, name)
    await writeFile(program, `#!/usr/bin/env bash\necho "${name} $*" >>'${record}'\n${answer}\n`)
    await chmod(program, 0o755)
  }
  return {
    env: { PATH: `${programs}${delimiter}${process.env.PATH}` },
    calls: async () => (await readFile(record, "utf8")).split("\n").filter((line) => line !== "")
  }
}
