/** How benches print: aligned lines, medians, and the aims that figures are held to. */
import { availableParallelism, loadavg } from "node:os"

export const median = (numbers: ReadonlyArray<number>): number =>
  [...numbers].sort((a, b) => a - b)[Math.floor(numbers.length / 2)]!

/** What the figures were measured on. They say little by themselves; ratios within one run do. */
export const machine = (): string =>
  `node ${process.versions.node}, ${availableParallelism()} cores, load ${loadavg()[0]!.toFixed(1)}`

/** Prints rows below headings: the first column to the left, figures to the right. */
export const printTable = (
  headings: ReadonlyArray<string>,
  rows: ReadonlyArray<ReadonlyArray<string>>
): void => {
  const widths = headings.map((heading, column) =>
    Math.max(heading.length, ...rows.map((row) => (row[column] ?? "").length))
  )
  for (const row of [headings, ...rows]) {
    const cells = row.map((cell, column) =>
      column === 0 ? cell.padEnd(widths[column]!) : cell.padStart(widths[column]!)
    )
    console.log(`  ${cells.join("  ").trimEnd()}`)
  }
}

/** A figure, what it should be, and whether it is. */
export const printAim = (name: string, figure: number, aim: "at least" | "at most", bound: number): void => {
  const isMet = aim === "at least" ? figure >= bound : figure <= bound
  console.log(`  ${name}: ${figure.toFixed(2)} (aim: ${aim} ${bound}) ${isMet ? "met" : "MISSED"}`)
}
