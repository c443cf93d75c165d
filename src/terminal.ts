/**
 * What the program says: lines, and below them, on a terminal, one line that rewrites itself.
 *
 * All of it goes to standard error but for the few lines that are the program's answer.
 */
import { Logger } from "effect"

const isTerminal = process.stderr.isTTY === true
const clearLine = "\r\u001b[2K"
let status = ""

/** A line on standard error, above the status line. */
export const print = (line: string): void => {
  process.stderr.write(status === "" ? `${line}\n` : `${clearLine}${line}\n${status}`)
}

/** Rewrites the status line; the empty one takes it away. Nothing happens where standard error is no terminal. */
export const rewriteStatus = (line: string): void => {
  if (!isTerminal) return
  // A terminal that does not know its width says 0.
  status = line.slice(0, (process.stderr.columns || 80) - 1)
  process.stderr.write(clearLine + status)
}

/** Whether there is a status line to rewrite. */
export const hasStatusLine = isTerminal

/** One line per message: time, level, message, and a cause where there is one. */
export const terminalLogger = Logger.map(Logger.logfmtLogger, (line) => print(line))
