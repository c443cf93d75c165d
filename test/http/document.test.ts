import { expect, it } from "@effect/vitest"
import { Validator } from "@seriousme/openapi-schema-validator"
import { Effect } from "effect"
import { describe } from "vitest"
import { brokerDocument } from "../../src/http/BrokerApi.ts"
import { gatewayDocument } from "../../src/http/GatewayDocument.ts"
import { probeDocument } from "../../src/http/ProbeApi.ts"
import { gatewayOver, send, storeOf } from "./TestGateway.ts"

// biome-ignore lint/suspicious/noExplicitAny: JSON of any shape
type Json = any

/** Every schema of a field, with the way to it. */
const fields = (schema: Json, way: string): ReadonlyArray<readonly [string, Json]> => [
  ...Object.entries(schema.properties ?? {}).flatMap(([name, field]) => [
    [`${way}.${name}`, field] as const,
    ...fields(field, `${way}.${name}`)
  ]),
  ...(schema.items === undefined ? [] : fields(schema.items, `${way}[]`))
]

describe.each([
  ["gateway", gatewayDocument],
  ["broker", brokerDocument],
  ["probe", probeDocument]
])("the document of the %s", (_, generated) => {
  const document: Json = JSON.parse(JSON.stringify(generated))
  const operations: ReadonlyArray<readonly [string, Json]> = Object.entries(document.paths).flatMap(
    ([path, methods]) =>
      Object.entries(methods as Json).map(([method, operation]) => [`${method} ${path}`, operation] as const)
  )

  it("is valid OpenAPI 3.1", async () => {
    const { valid, errors } = await new Validator().validate(structuredClone(document))
    expect(errors).toBeUndefined()
    expect(valid).toBe(true)
    expect(document.openapi).toMatch(/^3\.1/)
  })

  it("says whose it is, under what license, and where it is served", () => {
    expect(document.info.description).toBeTruthy()
    expect(document.info.license.url).toMatch(/^https:/)
    expect(document.servers).not.toHaveLength(0)
  })

  it("every operation has a summary, a description and a name for generated clients", () => {
    const names = operations.map(([, operation]) => operation.operationId)
    expect(new Set(names).size).toBe(operations.length)
    for (const [name, operation] of operations) {
      expect(operation.summary, name).toBeTruthy()
      expect(operation.description, name).toBeTruthy()
      for (const [status, response] of Object.entries<Json>(operation.responses)) {
        expect(response.description, `${name} ${status}`).toBeTruthy()
      }
    }
  })

  it("every parameter has a description and an example", () => {
    for (const [name, operation] of operations) {
      for (const parameter of operation.parameters) {
        expect(parameter.description, `${name} ${parameter.name}`).toBeTruthy()
        expect(parameter.example, `${name} ${parameter.name}`).toBeDefined()
      }
    }
  })

  it("every field of every answer has a description and an example", () => {
    const schemas = Object.entries<Json>(document.components.schemas)
    expect(schemas.length).toBeGreaterThan(5)
    for (const [name, schema] of schemas) {
      expect(schema.description, name).toBeTruthy()
      for (const [way, field] of fields(schema, name)) {
        expect(field.description, way).toBeTruthy()
        expect(field.examples?.length, way).toBeGreaterThan(0)
      }
    }
  })

  it("every reference leads somewhere, and every schema is referred to", () => {
    const references = [...JSON.stringify(document).matchAll(/"#\/components\/schemas\/(\w+)"/g)].map(
      ([, name]) => name
    )
    expect([...new Set(references)].sort()).toEqual(Object.keys(document.components.schemas).sort())
  })

  it("problems are documented as they are answered", () => {
    for (const [name, operation] of operations) {
      for (const status of Object.keys(operation.responses).filter((status) => status >= "400")) {
        expect(Object.keys(operation.responses[status].content), name).toEqual(["application/problem+json"])
      }
    }
  })
})

it.live("the document and Swagger UI are served at their paths", () =>
  Effect.gen(function* () {
    for (const path of ["/openapi.json", "/swagger/doc.json"]) {
      expect((yield* send(path)).json).toEqual(JSON.parse(JSON.stringify(gatewayDocument)))
    }
    for (const path of ["/swagger", "/swagger/"]) {
      const redirect = yield* send(path)
      expect(redirect.status).toBe(301)
      expect(redirect.headers.get("location")).toBe("/swagger/index.html")
    }
    const page = yield* send("/swagger/index.html")
    expect(page.status).toBe(200)
    expect(page.headers.get("content-type")).toBe("text/html")
    expect(page.text).toContain("SwaggerUIBundle(")
  }).pipe(Effect.provide(gatewayOver(storeOf([]))))
)

it.live("Swagger UI loads nothing from elsewhere", () =>
  Effect.gen(function* () {
    const page = yield* send("/swagger/index.html")
    expect(page.text).not.toMatch(/<(script|link|img|iframe)[^>]*\s(src|href)=/)
    expect(page.headers.get("content-security-policy")).toMatch(/default-src 'none'/)
  }).pipe(Effect.provide(gatewayOver(storeOf([]))))
)
