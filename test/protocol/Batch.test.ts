import { describe, expect, it } from "@effect/vitest"
import { FastCheck, Schema } from "effect"
import { Batch, BatchPayload, decodeBatch, encodeBatch } from "../../src/protocol/Batch.ts"
import { batch } from "../arbitraries.ts"

const bytesOf = (value: unknown): Uint8Array => new TextEncoder().encode(JSON.stringify(value))
const parsed = (payload: Uint8Array): unknown => JSON.parse(new TextDecoder().decode(payload))

describe("a payload", () => {
  it.prop("carries every sample of its batch", [batch], ([given]) => {
    expect(decodeBatch(encodeBatch(given))).toEqual({
      source: given.source,
      samples: given.samples,
      malformed: []
    })
  })

  it.prop("the hand-written encoder agrees with the Schema", [batch], ([given]) => {
    const payload = parsed(encodeBatch(given))
    expect(Schema.is(BatchPayload)(payload)).toBe(true)
    expect(Schema.decodeUnknownSync(Batch)(payload)).toEqual(given)
    expect(Schema.encodeSync(Batch)(given)).toEqual(payload)
  })

  it.prop(
    "one malformed sample costs itself, not its batch",
    [batch, FastCheck.nat(5), FastCheck.constantFrom<unknown>(null, 1, {}, [], { uuid: "GPU-1" })],
    ([given, place, bad]) => {
      const payload = parsed(encodeBatch(given)) as { readonly metrics: ReadonlyArray<unknown> }
      const index = Math.min(place, payload.metrics.length)
      const metrics = payload.metrics.toSpliced(index, 0, bad)
      expect(decodeBatch(bytesOf({ ...payload, metrics }))).toEqual({
        source: given.source,
        samples: given.samples,
        malformed: [{ index, problem: expect.any(String), value: bad }]
      })
    }
  )

  it.prop(
    "any bytes are read or answered with what is wrong, never thrown",
    [FastCheck.uint8Array()],
    ([bytes]) => {
      decodeBatch(bytes)
    }
  )

  it("what nothing depends on may be absent", () => {
    expect(decodeBatch(bytesOf({ metrics: [] }))).toEqual({ source: "", samples: [], malformed: [] })
  })

  it.each([
    ["invalid UTF-8", new Uint8Array([0x22, 0xff, 0x22]), "not UTF-8 JSON"],
    ["no JSON", new TextEncoder().encode("{"), "not UTF-8 JSON"],
    ["null", bytesOf(null), "expected an object"],
    ["a number", bytesOf(1), "expected an object"],
    ["no metrics", bytesOf({}), "metrics: expected an array"],
    ["metrics that are none", bytesOf({ metrics: {} }), "metrics: expected an array"]
  ])("that is no batch is answered with what is wrong: %s", (_, payload, problem) => {
    expect(decodeBatch(payload)).toBe(problem)
  })
})
