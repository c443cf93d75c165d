/**
 * A strict reader of Prometheus' text format 0.0.4, written from its description and not from what we write: anything that it
 * does not say is an error.
 */
export interface Line {
  readonly name: string
  readonly labels: Readonly<Record<string, string>>
  readonly value: number
}

export interface Family {
  readonly type: string
  readonly help: string
  readonly lines: ReadonlyArray<Line>
}

const types = ["counter", "gauge", "histogram", "summary", "untyped"]

/** Names of lines that a family of a type has. */
const lineNames = (name: string, type: string): ReadonlyArray<string> =>
  type === "histogram"
    ? [`${name}_bucket`, `${name}_sum`, `${name}_count`]
    : type === "summary"
      ? [name, `${name}_sum`, `${name}_count`]
      : [name]

const unescape = (text: string, quotes: boolean): string =>
  text.replace(/\\(.?)/gs, (whole, character: string) => {
    if (character === "n") return "\n"
    if (character === "\\" || (quotes && character === '"')) return character
    throw new Error(`unknown escape ${whole}`)
  })

const readLabels = (text: string): Record<string, string> => {
  const labels: Record<string, string> = {}
  let rest = text
  while (rest !== "") {
    const match = /^([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\.)*)"(,|$)/s.exec(rest)
    if (match === null) throw new Error(`not labels: ${rest}`)
    const [whole, name, value] = match
    // They are Prometheus' own; `__name__` would rename the metric.
    if (name!.startsWith("__")) throw new Error(`label ${name} is reserved`)
    if (Object.hasOwn(labels, name!)) throw new Error(`label ${name} stands twice`)
    labels[name!] = unescape(value!, true)
    rest = rest.slice(whole.length)
  }
  return labels
}

const readValue = (text: string): number => {
  if (text === "+Inf") return Number.POSITIVE_INFINITY
  if (text === "-Inf") return Number.NEGATIVE_INFINITY
  if (text === "NaN") return Number.NaN
  if (!/^-?\d+(\.\d+)?(e[+-]\d+)?$/.test(text)) throw new Error(`not a value: ${text}`)
  return Number(text)
}

/** The families by name, in the order of the text; and its comments. */
export const readMetrics = (
  text: string
): { readonly families: ReadonlyMap<string, Family>; readonly comments: ReadonlyArray<string> } => {
  if (!text.endsWith("\n") && text !== "") throw new Error("the last line does not end")
  const families = new Map<string, { type: string; help: string; lines: Array<Line> }>()
  const comments: Array<string> = []
  /** Names of lines, and the family that each is of. */
  const owners = new Map<string, string>()
  const seen = new Set<string>()
  let help: readonly [string, string] | undefined
  let current = ""
  for (const line of text.split("\n").slice(0, -1)) {
    const meta = /^# (HELP|TYPE) ([a-zA-Z_:][a-zA-Z0-9_:]*) (.*)$/s.exec(line)
    if (meta?.[1] === "HELP") {
      if (help !== undefined) throw new Error(`HELP without TYPE: ${help[0]}`)
      help = [meta[2]!, unescape(meta[3]!, false)]
    } else if (meta?.[1] === "TYPE") {
      const [, , name, type] = meta as unknown as [string, string, string, string]
      if (families.has(name)) throw new Error(`${name} is told twice`)
      if (!types.includes(type)) throw new Error(`unknown type ${type}`)
      if (help !== undefined && help[0] !== name) throw new Error(`HELP of ${help[0]} before ${name}`)
      families.set(name, { type, help: help?.[1] ?? "", lines: [] })
      for (const owned of lineNames(name, type)) {
        if (owners.has(owned)) throw new Error(`${owned} is of ${name} and of ${owners.get(owned)}`)
        owners.set(owned, name)
      }
      help = undefined
      current = name
    } else if (line.startsWith("#")) comments.push(line)
    else {
      const match = /^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+)$/s.exec(line)
      if (match === null) throw new Error(`not a line: ${line}`)
      const labels = readLabels(match[2] ?? "")
      if (owners.get(match[1]!) !== current) throw new Error(`${line} is not of ${current}`)
      const identity = JSON.stringify([match[1], Object.entries(labels).sort()])
      if (seen.has(identity)) throw new Error(`stands twice: ${line}`)
      seen.add(identity)
      families.get(current)!.lines.push({ name: match[1]!, labels, value: readValue(match[3]!) })
    }
  }
  return { families, comments }
}

/** The value of one line; `undefined` where there is none. */
export const valueOf = (
  text: string,
  name: string,
  labels: Readonly<Record<string, string>> = {}
): number | undefined => {
  const wanted = JSON.stringify(Object.entries(labels).sort())
  for (const { lines } of readMetrics(text).families.values()) {
    for (const line of lines) {
      if (line.name === name && JSON.stringify(Object.entries(line.labels).sort()) === wanted)
        return line.value
    }
  }
  return undefined
}
