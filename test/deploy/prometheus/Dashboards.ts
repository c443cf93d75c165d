/** Dashboards as they are shipped, and their queries as Grafana sends them. */
import { readFile } from "node:fs/promises"
import { join } from "node:path"
import { root } from "../Tool.ts"

export interface Datasource {
  readonly type: string
  readonly uid: string
}

export interface Grid {
  readonly x: number
  readonly y: number
  readonly w: number
  readonly h: number
}

export interface Panel {
  readonly id: number
  readonly type: string
  readonly title: string
  readonly description?: string
  readonly gridPos: Grid
  readonly datasource?: Datasource
  readonly timeFrom?: string
  readonly interval?: string
  readonly targets?: ReadonlyArray<{
    readonly refId: string
    readonly expr?: string
    readonly query?: string
  }>
  readonly fieldConfig?: {
    readonly defaults: { readonly unit?: string }
    readonly overrides: ReadonlyArray<{ readonly matcher: { readonly id: string; readonly options: string } }>
  }
  readonly transformations?: ReadonlyArray<{
    readonly options: { readonly indexByName: Readonly<Record<string, number>> }
  }>
}

export interface Variable {
  readonly name: string
  readonly type: string
  readonly label: string
  readonly description: string
  readonly datasource?: Datasource
  readonly query: string | { readonly query: string }
  readonly regex?: string
  readonly allValue?: string
}

export interface Dashboard {
  readonly id?: number
  readonly uid: string
  readonly title: string
  readonly schemaVersion: number
  readonly __inputs?: unknown
  readonly links: ReadonlyArray<{ readonly url: string }>
  readonly templating: { readonly list: ReadonlyArray<Variable> }
  readonly panels: ReadonlyArray<Panel>
}

const folder = "deploy/helm/telemetry-pipeline/dashboards"

/** Where they are, from the project's folder. */
export const dashboardFiles = [`${folder}/fleet.json`, `${folder}/pipeline.json`] as const

export const readDashboard = async (file: string): Promise<Dashboard> =>
  JSON.parse(await readFile(join(root, file), "utf8")) as Dashboard

/** What is chosen of a variable: all, or some of its values. */
export type Choice = "all" | ReadonlyArray<string>

const escaped = (value: string): string => value.replace(/[\\^$*+?.()|[\]{}/]/g, "\\$&")

/** How Grafana writes what is chosen into a regular expression. */
const asRegex = (choice: Choice, allValue: string): string => {
  if (choice === "all") return allValue
  return choice.length === 1 ? escaped(choice[0]!) : `(${choice.map(escaped).join("|")})`
}

export interface Moment {
  readonly from: Date
  readonly to: Date
  /** The shortest window that the panel is drawn with. */
  readonly windowPeriod: string
}

/**
 * A Flux query as Grafana sends it: first the dashboard's variables are written into it, then `v` (in
 * pkg/tsdb/influxdb/flux/macros.go, by the member's name, whatever stands before its dot).
 */
export const fluxOf = (
  query: string,
  variables: ReadonlyArray<Variable>,
  choices: Readonly<Record<string, Choice>>,
  { from, to, windowPeriod }: Moment,
  bucket: string
): string => {
  let flux = query
  for (const { name, allValue } of variables) {
    const choice = choices[name] ?? "all"
    flux = flux.replaceAll(`\${${name}:regex}`, () => asRegex(choice, allValue ?? ""))
    if (choice !== "all") flux = flux.replaceAll(`\${${name}}`, () => choice[0]!)
  }
  const members: Readonly<Record<string, string>> = {
    timeRangeStart: from.toISOString(),
    timeRangeStop: to.toISOString(),
    windowPeriod,
    defaultBucket: JSON.stringify(bucket)
  }
  return flux.replace(/[a-zA-Z]+\.([a-zA-Z]+)/g, (text, member: string) => members[member] ?? text)
}

/** A PromQL expression as Grafana sends it, scraped every other second, over an hour, with everything chosen. */
export const promqlOf = (expression: string, jobs: ReadonlyArray<string>): string =>
  expression
    .replaceAll("$__rate_interval", "15s")
    .replaceAll("$__range", "1h")
    .replaceAll("$namespace", ".*")
    .replaceAll("$job", `(${jobs.join("|")})`)

/** The names of metrics in an expression that processes export. */
export const metricsOf = (expression: string): ReadonlyArray<string> =>
  expression.match(/\b(?:telemetry|process|nodejs)_[a-z]\w*/g) ?? []
