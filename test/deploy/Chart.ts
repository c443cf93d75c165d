/** The chart, rendered by the real Helm: with the values of files, into the objects that a cluster would get. */
import { existsSync, readdirSync } from "node:fs"
import { mkdtemp, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { basename, join } from "node:path"
import { parseAllDocuments } from "yaml"
import type { KubernetesObject } from "./ChartObjects.ts"
import { execute, outcomeOf, root } from "./Tool.ts"

export const chart = join(root, "deploy/helm/telemetry-pipeline")

/** That of the schemas; a Helm built from its sources believes that it talks to 1.20 where there is no cluster. */
export const kubernetesVersion = "1.34"

/** Names of tables of values that the chart is proven for. `kind` is what deploy/kind installs with. */
export const variants: Readonly<Record<string, string>> = Object.fromEntries(
  [
    ...readdirSync(join(root, "test/deploy/values")).map((file) => join(root, "test/deploy/values", file)),
    join(root, "deploy/kind/values.yaml")
  ]
    .filter((file) => existsSync(file))
    .map((file) => [file.includes("deploy/kind") ? "kind" : basename(file, ".yaml"), file])
)

export interface Rendering {
  readonly chart?: string
  readonly namespace?: string
  /** A values file. */
  readonly file?: string
  /** Values above those of the file. */
  readonly values?: unknown
  /** More of Helm's arguments. */
  readonly args?: ReadonlyArray<string>
}

const withArguments = async <A>(
  { file, values, args = [] }: Rendering,
  use: (args: ReadonlyArray<string>) => Promise<A>
): Promise<A> => {
  const folder = await mkdtemp(join(tmpdir(), "chart-"))
  try {
    const above = join(folder, "values.json")
    await writeFile(above, JSON.stringify(values ?? {}))
    return await use([...(file === undefined ? [] : ["--values", file]), "--values", above, ...args])
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

const template = (rendering: Rendering, args: ReadonlyArray<string>): ReadonlyArray<string> => [
  ...["template", "telemetry-pipeline", rendering.chart ?? chart, "--kube-version", kubernetesVersion],
  ...["--namespace", rendering.namespace ?? "gpu-telemetry", ...args]
]

/** What Helm prints. */
export const manifest = (rendering: Rendering = {}): Promise<string> =>
  withArguments(rendering, (args) => execute("helm", template(rendering, args)))

export const objectsOf = (text: string): ReadonlyArray<KubernetesObject> =>
  parseAllDocuments(text)
    .map((document) => {
      const [problem] = document.errors
      if (problem !== undefined) throw problem
      return document.toJS() as KubernetesObject | null
    })
    .filter((object) => object !== null)

/** What a cluster would get. */
export const render = async (rendering: Rendering = {}): Promise<ReadonlyArray<KubernetesObject>> =>
  objectsOf(await manifest(rendering))

/** Why Helm refuses values; rejects where it takes them. */
export const refusal = (rendering: Rendering): Promise<string> =>
  withArguments(rendering, async (args) => {
    const { exitCode, stdout, stderr } = await outcomeOf("helm", template(rendering, args))
    if (exitCode === 0) throw new Error(`Helm took the values:\n${stdout}`)
    return stderr
  })

export const lint = (rendering: Rendering): Promise<string> =>
  withArguments(rendering, (args) => execute("helm", ["lint", "--strict", rendering.chart ?? chart, ...args]))
