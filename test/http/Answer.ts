/** What a server answers, read to its end; and what it answers where something is wrong. */
import { Effect, Schema } from "effect"
import { expect } from "vitest"

export interface Answer {
  readonly status: number
  readonly headers: Headers
  readonly text: string
  // biome-ignore lint/suspicious/noExplicitAny: a test says what it expects in it
  readonly json: any
}

/** Sends a request and reads the whole answer. */
export const ask = (url: string, init: RequestInit = {}): Effect.Effect<Answer> =>
  Effect.promise(async () => {
    const response = await fetch(url, { redirect: "manual", ...init })
    const text = await response.text()
    const isJson = /^application\/(problem\+)?json/.test(response.headers.get("content-type") ?? "")
    return {
      status: response.status,
      headers: response.headers,
      text,
      json: isJson && text !== "" ? JSON.parse(text) : undefined
    }
  })

/** Holds an answer to RFC 9457 and to the old members. */
export const expectProblem = (answer: Answer, schema: Schema.Schema.AnyNoContext, label = "") => {
  expect(answer.headers.get("content-type"), label).toBe("application/problem+json")
  Schema.decodeUnknownSync(schema, { onExcessProperty: "error" })(answer.json)
  expect(answer.json.status, label).toBe(answer.status)
  expect(answer.json.message, label).toBe(answer.json.detail)
}
