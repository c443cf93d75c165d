/** The program of each pod, as it would read the variables that Kubernetes gives it: by its own settings, not by a list of ours. */
import { type Config, ConfigProvider, Effect } from "effect"
import { commandSettings } from "../../src/layers/settings/commands.ts"
import {
  type Container,
  containersOf,
  type KubernetesObject,
  ofKind,
  type Pod,
  podsOf
} from "./ChartObjects.ts"

export type ProcessName = "broker" | "streamer" | "collector" | "gateway" | "influxdb"

/** What variables are beside those of the program: the pod's own name and number, and what Node reads. */
export const otherVariables = ["POD_NAME", "POD_INDEX", "NODE_OPTIONS"]

/** The variables that a command reads. */
export const variablesOf = (command: keyof typeof commandSettings): ReadonlyArray<string> => [
  ...new Set(
    commandSettings[command].groups.flatMap(({ settings }) => Object.values(settings).map(({ env }) => env))
  )
]

export interface Program {
  readonly pod: Pod
  readonly container: Container
  readonly command: ProcessName
  readonly variables: Readonly<Record<string, string>>
}

const isCommand = (name: string | undefined): name is ProcessName =>
  name !== undefined && name !== "run" && name in commandSettings

/** As kubelet does: the ConfigMaps, then the variables in their order, each with the ones before it put in. */
const variablesIn = (
  { env = [], envFrom = [] }: Container,
  fields: Readonly<Record<string, string>>,
  objects: ReadonlyArray<KubernetesObject>
): Readonly<Record<string, string>> => {
  const dataOf = (kind: string, name: string) =>
    ofKind(objects, kind).find(({ metadata }) => metadata.name === name)?.data ?? {}
  const variables = Object.assign(
    {},
    ...envFrom.map(({ configMapRef }) => dataOf("ConfigMap", configMapRef?.name ?? ""))
  )
  for (const { name, value, valueFrom } of env) {
    const secret = valueFrom?.secretKeyRef
    variables[name] =
      secret !== undefined
        ? Buffer.from(
            dataOf("Secret", secret.name)[secret.key] ?? Buffer.from("x".repeat(16)).toString("base64"),
            "base64"
          ).toString()
        : (fields[valueFrom?.fieldRef?.fieldPath ?? ""] ??
          value?.replace(/\$\((\w+)\)/g, (reference, other) => variables[other] ?? reference))
  }
  return variables
}

/** Containers that run the program of ours, in the first pod of each workload. */
export const programsOf = (objects: ReadonlyArray<KubernetesObject>): ReadonlyArray<Program> =>
  podsOf(objects).flatMap((pod) =>
    containersOf(pod).flatMap((container) => {
      const command = container.args?.[0]
      if (container.command !== undefined || !isCommand(command)) return []
      const fields = {
        "metadata.name": `${pod.of.metadata.name}-0`,
        "metadata.labels['apps.kubernetes.io/pod-index']": "0"
      }
      return [{ pod, container, command, variables: variablesIn(container, fields, objects) }]
    })
  )

/** The settings that the program has then; rejects with what it would say instead of starting. */
export const settingsOf = <A>(
  { variables }: Program,
  settings: { readonly config: Config.Config<A> }
): Promise<A> =>
  Effect.runPromise(
    settings.config.pipe(
      Effect.withConfigProvider(ConfigProvider.fromMap(new Map(Object.entries(variables))))
    )
  )
