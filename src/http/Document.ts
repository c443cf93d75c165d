/** What an OpenAPI document says that the endpoints' schemas alone do not, and what it had better not say. */

// biome-ignore lint/suspicious/noExplicitAny: the document is JSON of any shape
export type Json = Record<string, any>

/** What a decoding failure is called in the generated document; `BadRequest` is answered instead. */
const decodeErrorSchemas = ["HttpApiDecodeError", "Issue", "PropertyKey"]
/** Schemas of the library that stand for a number. */
const numberSchemas = ["NonNegative", "NonNegativeInt"]

const refersToDecodeError = (schema: Json): boolean =>
  schema.$ref === "#/components/schemas/HttpApiDecodeError"

/** The generated document lists the platform's decoding failure beside ours under 400; it is never answered. */
const withoutDecodeError = (responses: Json): void => {
  const content: Json = responses[400]?.content ?? {}
  for (const [contentType, { schema }] of Object.entries(content)) {
    const members = (schema.anyOf ?? [schema]).filter((member: Json) => !refersToDecodeError(member))
    if (members.length === 0) delete responses[400]
    else {
      delete content[contentType]
      content["application/problem+json"] = { schema: members[0] }
      responses[400].description = "A parameter is wrong: `detail` names it, its value and what is accepted"
    }
  }
}

/** Titles that the Schema library gives its own filters, as `minLength(1)`: they say nothing that the keywords do not. */
const isFilterTitle = (value: unknown): boolean =>
  typeof value === "string" && /^(int|finite|nonNegative|\w+\(.*\))$/.test(value)

/**
 * What of a schema says nothing: the library's titles, and that further fields are allowed. That is so where nothing is
 * said, and code generators would make a field of any name of it, so that a misspelt one compiles.
 */
const isNoise = (key: string, value: unknown): boolean =>
  (key === "title" && isFilterTitle(value)) || (key === "additionalProperties" && value === true)

/**
 * Puts the library's own number schemas where they are referred to, beside descriptions and bounds that code generators
 * ignore next to a reference, and drops what says nothing.
 */
const inlineNumbers = (value: unknown, schemas: Json): unknown => {
  if (Array.isArray(value)) return value.map((member) => inlineNumbers(member, schemas))
  if (typeof value !== "object" || value === null) return value
  const name = String((value as Json).$ref ?? "").replace("#/components/schemas/", "")
  const { $ref, ...beside } = value as Json
  const whole = numberSchemas.includes(name) ? { ...schemas[name], ...beside } : (value as Json)
  return Object.fromEntries(
    Object.entries(whole)
      .filter(([key, member]) => !isNoise(key, member))
      .map(([key, member]) => [key, key === "examples" ? member : inlineNumbers(member, schemas)])
  )
}

/** Brings the generated document in line with what is answered, and makes it pleasant to generate clients from. */
export const describeApi = (document: Json): Json => {
  const schemas = document.components.schemas
  document.paths = inlineNumbers(document.paths, schemas)
  document.components.schemas = inlineNumbers(schemas, schemas)
  for (const path of Object.values(document.paths as Json)) {
    for (const operation of Object.values(path as Json)) {
      withoutDecodeError(operation.responses)
      for (const parameter of operation.parameters) parameter.example = parameter.schema.examples[0]
    }
  }
  for (const name of [...decodeErrorSchemas, ...numberSchemas]) delete document.components.schemas[name]
  return document
}
