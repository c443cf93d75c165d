/** Fields of answers, as the document shows them. */
import { Schema } from "effect"

export const text = (description: string, example: string) =>
  Schema.String.annotations({ description, examples: [example] })

/** A whole number of at least 0. */
export const number = (description: string, example: number) =>
  Schema.NonNegativeInt.annotations({ description, examples: [example] })

/** A time in RFC 3339. */
export const instant = (description: string, example: string) =>
  Schema.String.annotations({ description, examples: [example], jsonSchema: { format: "date-time" } })
