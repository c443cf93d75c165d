/**
 * Prometheus label syntax, as `labels_raw` holds it: `name="value"`, separated by commas, with the escapes `\\`, `\"`
 * and `\n` in values (https://prometheus.io/docs/instrumenting/exposition_formats/#text-format-details).
 *
 * A malformed label costs itself. Reading goes on behind the next comma that is not in quotes, so that the inside of a
 * broken value is never taken for labels.
 */
import { reservedLabelNames, type Series, sortLabels } from "../../protocol/Series.ts"
import { columnNames } from "./csv-header.ts"

/** What a cell of labels holds. */
export interface ParsedLabels {
  /** As a series carries them: sorted, without empty ones, without those that repeat a column. */
  readonly labels: Series["labels"]
  /** The text of each label that was dropped because it is malformed, reserved or there twice. */
  readonly malformed: ReadonlyArray<string>
}

/** Labels that say what a column says, lower case: the exporter's own names for some, and the columns. */
const columnLabelNames: ReadonlySet<string> = new Set([
  "gpu",
  "__name__",
  ...columnNames.map((name) => name.toLowerCase())
])

// The name and what surrounds the opening quote of the value. Sticky, so that it reads at `lastIndex` only.
const labelStart = /\s*([a-zA-Z_][a-zA-Z0-9_]*)\s*=\s*"/y
const separator = /\s*(?:,|$)/y

/** Index of the quote that closes a value which begins at `from`; the text's length where none does. */
const closingQuote = (text: string, from: number): number => {
  let i = from
  while (i < text.length && text[i] !== '"') i += text[i] === "\\" ? 2 : 1
  return Math.min(i, text.length)
}

/** Index of the next comma outside quotes; the text's length where there is none. */
const nextComma = (text: string, from: number): number => {
  let i = from
  while (i < text.length && text[i] !== ",") i = text[i] === '"' ? closingQuote(text, i + 1) + 1 : i + 1
  return Math.min(i, text.length)
}

/** The value without its escapes; `undefined` where it has one that the syntax does not know. */
const unescape = (escaped: string): string | undefined => {
  let isKnown = true
  const value = escaped.replace(/\\(.)/gs, (_, char: string) => {
    isKnown &&= char === "\\" || char === '"' || char === "n"
    return char === "n" ? "\n" : char
  })
  return isKnown ? value : undefined
}

/** Reads one label that begins at `from`: what it says, if that is well-formed, and where the next one begins. */
const readLabel = (
  text: string,
  from: number
): { readonly label: readonly [name: string, value: string] | undefined; readonly end: number } => {
  labelStart.lastIndex = from
  const start = labelStart.exec(text)
  if (start === null) return { label: undefined, end: nextComma(text, from) }
  const valueEnd = closingQuote(text, labelStart.lastIndex)
  const value = unescape(text.slice(labelStart.lastIndex, valueEnd))
  separator.lastIndex = valueEnd + 1
  if (valueEnd === text.length || value === undefined || !separator.test(text)) {
    return { label: undefined, end: nextComma(text, valueEnd + 1) }
  }
  return { label: [start[1]!, value], end: nextComma(text, valueEnd + 1) }
}

/** Reads a cell of labels; an empty one has none. A comma may stand behind the last label. */
export const parseLabels = (cell: string): ParsedLabels => {
  const text = cell.trimEnd()
  const labels = new Map<string, string>()
  const malformed: Array<string> = []
  for (let from = 0; from < text.length; ) {
    const { label, end } = readLabel(text, from)
    if (label === undefined || reservedLabelNames.has(label[0]) || labels.has(label[0])) {
      malformed.push(text.slice(from, end).trim())
    } else if (!columnLabelNames.has(label[0].toLowerCase())) {
      labels.set(label[0], label[1])
    }
    from = end + 1
  }
  return { labels: sortLabels(labels), malformed }
}
