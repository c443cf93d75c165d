/** Schemas of the Prometheus operator's objects: the ones that it installs into clusters, from its own sources. */
import { readFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Ajv, type ValidateFunction } from "ajv"
import { parse } from "yaml"
import { type KubernetesObject, nameOf } from "./ChartObjects.ts"
import { execute } from "./Tool.ts"

const operator = "github.com/prometheus-operator/prometheus-operator@v0.85.0"
const operatorSum = "h1:M5xLCLEoaW2IJfnuCwFzzpL+jSVQu3KGT84Pye+fW8s="

interface Definition {
  readonly spec: {
    readonly names: { readonly kind: string }
    readonly versions: ReadonlyArray<{
      readonly name: string
      readonly schema: { readonly openAPIV3Schema: Schema }
    }>
  }
}

type Schema = { readonly [key: string]: unknown }

const isSchema = (value: unknown): value is Schema =>
  typeof value === "object" && value !== null && !Array.isArray(value)

/** Kubernetes drops fields that an object's schema does not name; here they are refused, as they are mistakes. */
const strict = (schema: Schema): Schema => {
  const deeper = Object.fromEntries(
    Object.entries(schema).map(([key, value]) => {
      if (key === "properties" && isSchema(value)) {
        return [
          key,
          Object.fromEntries(Object.entries(value).map(([name, of]) => [name, strict(of as Schema)]))
        ]
      }
      return [key, isSchema(value) && key !== "default" ? strict(value) : value]
    })
  )
  const isClosed = isSchema(schema.properties) && schema.additionalProperties === undefined
  return isClosed ? { ...deeper, additionalProperties: false } : deeper
}

const object = { type: "object" }

/** Go's expressions may begin with flags, which are apart in JavaScript's. */
const regExp = Object.assign(
  (pattern: string, flags: string) =>
    new RegExp(pattern.replace("(?i)", ""), pattern.includes("(?i)") ? `${flags}i` : flags),
  { code: "new RegExp" }
)

/** Says of an object what is against its schema. */
export type Validate = (object: KubernetesObject) => ReadonlyArray<string>

/** Where the operator's module has its definitions: Go downloads it, and checks it. */
const operatorFolder = async (): Promise<string> => {
  // Outside of any module, so that none is changed by it.
  const { Dir, Sum } = JSON.parse(
    await execute("go", ["mod", "download", "-json", operator], {
      cwd: tmpdir(),
      env: { GOFLAGS: "-mod=mod" }
    })
  )
  if (Sum !== operatorSum) throw new Error(`${operator} is not what it was: ${Sum}`)
  return join(Dir, "example/prometheus-operator-crd")
}

/** The file that defines a kind such as `servicemonitors`, for the schemas below and for clusters. */
export const operatorDefinition = async (kind: string): Promise<string> =>
  join(await operatorFolder(), `monitoring.coreos.com_${kind}.yaml`)

/** Reads the operator's definitions of kinds such as `servicemonitors`. */
export const operatorSchemas = async (kinds: ReadonlyArray<string>): Promise<Validate> => {
  const ajv = new Ajv({ strict: false, validateFormats: false, allErrors: true, code: { regExp } })
  const validators = new Map<string, ValidateFunction>(
    await Promise.all(
      kinds.map(async (kind) => {
        const { spec }: Definition = parse(await readFile(await operatorDefinition(kind), "utf8"))
        const [version] = spec.versions
        const schema = strict(version!.schema.openAPIV3Schema)
        const properties = { ...(schema.properties as Schema), metadata: object }
        return [
          `monitoring.coreos.com/${version!.name} ${spec.names.kind}`,
          ajv.compile({ ...schema, properties })
        ] as const
      })
    )
  )
  return (subject) => {
    const validate = validators.get(`${subject.apiVersion} ${subject.kind}`)
    if (validate === undefined) return [`${nameOf(subject)}: no schema for ${subject.apiVersion}`]
    if (validate(subject)) return []
    return (validate.errors ?? []).map(
      ({ instancePath, message, params }) =>
        `${nameOf(subject)}: ${instancePath} ${message} ${JSON.stringify(params)}`
    )
  }
}
