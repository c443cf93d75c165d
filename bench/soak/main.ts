/**
 * The soak as a program: `npm run soak -- --minutes 5`. It prints how it goes, and a verdict; the exit code is 1 where
 * anything was lost, doubled, or went on growing.
 */
import { parseArgs } from "node:util"
import { Effect, Logger, LogLevel } from "effect"
import * as Scheduler from "../../src/layers/Scheduler.ts"
import { machine } from "../Table.ts"
import { growthOf } from "./Memory.ts"
import { type Outcome, type Progress, soak } from "./Soak.ts"
import type { Figures } from "./World.ts"

const MiB = 1024 * 1024

const optionsOf = (args: ReadonlyArray<string>) => {
  const { values } = parseArgs({
    args: [...args],
    options: {
      minutes: { type: "string" },
      messages: { type: "string", default: "Infinity" },
      seed: { type: "string", default: String(Date.now() % 1_000_000) },
      "retention-bytes": { type: "string", default: String(16 * MiB) }
    }
  })
  // Bounded by its messages it may take its time.
  const minutes = values.minutes ?? (values.messages === "Infinity" ? "5" : "Infinity")
  const options = {
    durationMs: Number(minutes) * 60_000,
    messagesMax: Number(values.messages),
    seed: Number(values.seed),
    retentionBytes: Number(values["retention-bytes"])
  }
  for (const [name, value] of Object.entries(options)) {
    if (Number.isNaN(value)) throw new Error(`${name}: expected a number`)
  }
  return options
}

const count = (figure: number): string => Math.round(figure).toLocaleString("en")
const mebibytes = (bytes: number): string => `${Math.round(bytes / MiB)} MiB`
const clock = (ms: number): string =>
  `${Math.floor(ms / 60_000)}:${String(Math.floor(ms / 1_000) % 60).padStart(2, "0")}`

const rates = (name: string, now: Figures, before: Figures | undefined, seconds: number): string => {
  const perSecond = (figure: "published" | "delivered") =>
    count((now[figure] - (before?.[figure] ?? 0)) / seconds)
  const { redelivered, quarantined, gaps, missed } = now
  return (
    `${name}: ${perSecond("published")}/s in, ${perSecond("delivered")}/s out, ` +
    `redelivered ${count(redelivered)}, quarantined ${count(quarantined)}, gaps ${count(gaps)} (${count(missed)})`
  )
}

const printProgress = () => {
  let before: Progress | undefined
  return (now: Progress): void => {
    const seconds = (now.elapsedMs - (before?.elapsedMs ?? 0)) / 1_000
    const { block, drop_oldest: dropOldest } = now.figures
    const { residentBytes, heapBytes } = now.memory
    console.log(
      `${clock(now.elapsedMs).padStart(6)}  ${rates("block", block, before?.figures.block, seconds)} | ` +
        `${rates("drop_oldest", dropOldest, before?.figures.drop_oldest, seconds)} | ` +
        `RSS ${mebibytes(residentBytes)}, heap ${mebibytes(heapBytes)}`
    )
    before = now
  }
}

const printTotals = ({ elapsedMs, figures }: Outcome): void => {
  console.log(`\nafter ${clock(elapsedMs)}:`)
  for (const [name, of] of Object.entries(figures)) {
    console.log(
      `  ${name}: ${count(of.published)} published in ${count(of.hellos)} sessions (${count(of.duplicates)} duplicates ` +
        `found), ${count(of.delivered)} delivered to ${count(of.subscriptions)} subscriptions (${count(of.takeovers)} ` +
        `taken over), ${count(of.redelivered)} redelivered, ${count(of.quarantined)} quarantined, ` +
        `${count(of.gaps)} gaps told of ${count(of.missed)} messages, found full ${count(of.foundFull)} times`
    )
  }
}

/** Prints whether memory stayed flat; answers whether it did, as far as can be told. */
const printMemory = ({ memorySamples }: Outcome): boolean => {
  const growth = growthOf(memorySamples)
  if (growth === undefined) {
    console.log("  memory: too short a time to tell")
    return true
  }
  for (const { name, beforeBytes, afterBytes, isFlat } of growth) {
    const percent = (((afterBytes - beforeBytes) / beforeBytes) * 100).toFixed(1)
    console.log(
      `  ${name}: ${mebibytes(beforeBytes)} in the second quarter, ${mebibytes(afterBytes)} in the last ` +
        `(${percent} %): ${isFlat ? "flat" : "GREW"}`
    )
  }
  return growth.every(({ isFlat }) => isFlat)
}

const options = optionsOf(process.argv.slice(2))
console.log(`soak, seed ${options.seed} (${machine()})`)
const outcome = await soak({ ...options, onProgress: printProgress() }).pipe(
  Logger.withMinimumLogLevel(LogLevel.Error),
  Effect.provide(Scheduler.layer),
  Effect.runPromise
)
printTotals(outcome)
const isFlat = printMemory(outcome)
for (const violation of outcome.violations) console.log(`  VIOLATED ${violation}`)
if (outcome.violations.length === 0) console.log("  nothing lost but told gaps, nothing twice")
if (!isFlat || outcome.violations.length > 0) {
  console.log(`  FAILED, seed ${options.seed}`)
  process.exitCode = 1
}
