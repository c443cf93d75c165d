/** Programs of others that a proof of the deployment drives: found or skipped loudly, run, waited for. */
import { spawn } from "node:child_process"
import { accessSync, constants } from "node:fs"
import { delimiter, join } from "node:path"
import { fileURLToPath } from "node:url"
import { describe } from "vitest"

/** The project's folder: commands run in it. */
export const root = fileURLToPath(new URL("../..", import.meta.url))

const isFound = (tool: string): boolean =>
  (process.env.PATH ?? "").split(delimiter).some((folder) => {
    try {
      accessSync(join(folder, tool), constants.X_OK)
      return true
    } catch {
      return false
    }
  })

/** A suite that needs programs on the path. Without them it is skipped, and says so; in CI, which installs them, it fails. */
export const describeWith = (tools: ReadonlyArray<string>, name: string, suite: () => void): void => {
  const missing = tools.filter((tool) => !isFound(tool))
  if (missing.length === 0) return void describe(name, suite)
  if (process.env.CI === "true") throw new Error(`${name}: CI installs ${missing.join(", ")}, not found`)
  console.warn(`SKIPPED: ${name}: not on the path: ${missing.join(", ")}`)
  describe.skip(name, suite)
}

export interface Execution {
  readonly env?: NodeJS.ProcessEnv
  readonly cwd?: string
  /** What the program reads from its standard input. */
  readonly input?: string
}

export interface Outcome {
  readonly exitCode: number
  readonly stdout: string
  readonly stderr: string
}

/** Runs a program to its end, whatever its exit code. Rejects only where it can't be started or was killed. */
export const outcomeOf = (
  command: string,
  args: ReadonlyArray<string>,
  { env = {}, cwd = root, input = "" }: Execution = {}
): Promise<Outcome> =>
  new Promise((resolve, reject) => {
    const child = spawn(command, args, { cwd, env: { ...process.env, ...env } })
    let stdout = ""
    let stderr = ""
    child.stdout.setEncoding("utf8").on("data", (text) => {
      stdout += text
    })
    child.stderr.setEncoding("utf8").on("data", (text) => {
      stderr += text
    })
    child.once("error", reject)
    child.once("close", (exitCode, signal) => {
      if (exitCode === null) reject(new Error(`${command} ${args.join(" ")}: ${signal}\n${stderr}`))
      else resolve({ exitCode, stdout, stderr })
    })
    // A program that ends without reading is judged by its exit code.
    child.stdin.on("error", () => {}).end(input)
  })

/** What a program prints. Rejects with all it said where it fails. */
export const execute = async (
  command: string,
  args: ReadonlyArray<string>,
  execution?: Execution
): Promise<string> => {
  const { exitCode, stdout, stderr } = await outcomeOf(command, args, execution)
  if (exitCode === 0) return stdout
  throw new Error(`${command} ${args.join(" ")}: exit code ${exitCode}\n${stdout}${stderr}`)
}

const attemptDelayMs = 250

/** Asks again until the answer is what is wanted; rejects with the last answer when the time is over. */
export const eventually = async <A>(
  what: string,
  withinSeconds: number,
  ask: () => Promise<A>,
  isWanted: (answer: A) => boolean
): Promise<A> => {
  const endMs = performance.now() + withinSeconds * 1000
  for (;;) {
    let last: unknown
    try {
      const answer = await ask()
      if (isWanted(answer)) return answer
      last = answer
    } catch (failure) {
      last = failure instanceof Error ? failure.message : failure
    }
    if (performance.now() > endMs)
      throw new Error(`not within ${withinSeconds} s: ${what}; last: ${JSON.stringify(last)}`)
    await new Promise((resolve) => setTimeout(resolve, attemptDelayMs))
  }
}
