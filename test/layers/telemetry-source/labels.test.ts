import { it } from "@effect/vitest"
import { FastCheck } from "effect"
import { expect } from "vitest"
import { parseLabels } from "../../../src/layers/telemetry-source/labels.ts"
import { compareUtf8 } from "../../../src/protocol/Series.ts"

it("labels are kept with their commas, quotes and newlines, sorted by name", () => {
  expect(parseLabels('job="a,b",instance="x:1",note="say \\"hi\\"\\nback\\\\slash",')).toEqual({
    labels: [
      ["instance", "x:1"],
      ["job", "a,b"],
      ["note", 'say "hi"\nback\\slash']
    ],
    malformed: []
  })
  expect(parseLabels("")).toEqual({ labels: [], malformed: [] })
  expect(parseLabels(' a = "1" , b="2" ').labels).toEqual([
    ["a", "1"],
    ["b", "2"]
  ])
})

it("what is written by the syntax's rules is read back", () => {
  const escape = (value: string) =>
    value.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("\n", "\\n")
  const name = FastCheck.stringMatching(/^l_[a-zA-Z0-9_]{0,8}$/)
  const value = FastCheck.oneof(
    FastCheck.fullUnicodeString({ minLength: 1 }),
    FastCheck.stringOf(FastCheck.constantFrom("\\", '"', "\n", ",", "=", "n", "{"), { minLength: 1 })
  )
  FastCheck.assert(
    FastCheck.property(FastCheck.dictionary(name, value), (labels) => {
      const text = Object.entries(labels).map(([key, label]) => `${key}="${escape(label)}"`)
      expect(parseLabels(text.join(","))).toEqual({
        labels: Object.entries(labels).sort(([a], [b]) => compareUtf8(a, b)),
        malformed: []
      })
    })
  )
})

it("labels that repeat a column are dropped silently, empty ones are none", () => {
  const repeated = ["UUID", "Hostname", "hostname", "modelName", "gpu", "device", "__name__", "pod", "value"]
  const text = repeated.map((name) => `${name}="x"`).join(",")
  expect(parseLabels(`${text},empty="",GPU_I_ID="3"`)).toEqual({
    labels: [["GPU_I_ID", "3"]],
    malformed: []
  })
})

it("a malformed label costs itself", () => {
  const bad = [
    "b=2",
    "b",
    "=",
    '="x"',
    'b="x"y',
    'b="x" y="z"',
    'b="\\t"',
    '1b="x"',
    'b.c="x"',
    '"b"="x"',
    'b="p\\q,r=\\"s\\""',
    '_measurement="x"',
    '_field="x"',
    'time="x"',
    'a="again"',
    ""
  ]
  for (const label of bad) {
    expect(parseLabels(`a="1",${label},c="3"`), label).toEqual({
      labels: [
        ["a", "1"],
        ["c", "3"]
      ],
      malformed: [label]
    })
  }
  expect(parseLabels('a="1",b="x').malformed).toEqual(['b="x'])
  expect(parseLabels('a="1",b="x\\').malformed).toEqual(['b="x\\'])
})
