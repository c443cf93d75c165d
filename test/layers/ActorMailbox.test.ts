/** The mailbox against a model: two lines, those inside and those that wait for room. */
import { describe, expect, it } from "@effect/vitest"
import { FastCheck } from "effect"
import * as ActorMailbox from "../../src/layers/ActorMailbox.ts"
import { mailboxBytesMax, mailboxRequestsMax } from "../../src/protocol/Limits.ts"

const op = FastCheck.oneof(
  FastCheck.record({ op: FastCheck.constant("push" as const) }),
  FastCheck.record({
    op: FastCheck.constant("offer" as const),
    bytes: FastCheck.constantFrom(0, 1, mailboxBytesMax / 2, mailboxBytesMax, 2 * mailboxBytesMax)
  }),
  FastCheck.record({ op: FastCheck.constant("takeBack" as const), which: FastCheck.nat(20) }),
  FastCheck.record({ op: FastCheck.constant("take" as const) })
)

class Model {
  inside: Array<{ readonly request: number; readonly bytes: number }> = []
  waiting: Array<{ readonly request: number; readonly bytes: number }> = []

  push(request: number): void {
    this.inside.push({ request, bytes: 0 })
  }

  offer(request: number, bytes: number): void {
    this.waiting.push({ request, bytes })
    if (this.waiting.length === 1) this.admit()
  }

  /** The first in line goes in as soon as it fits, or nobody is inside. */
  admit(): void {
    for (;;) {
      const first = this.waiting[0]
      if (first === undefined) return
      const bytes = this.inside.reduce((sum, entry) => sum + entry.bytes, 0)
      const fits = bytes + first.bytes <= mailboxBytesMax && this.inside.length < mailboxRequestsMax
      if (this.inside.length > 0 && !fits) return
      this.inside.push(first)
      this.waiting.shift()
    }
  }
}

describe("the mailbox", () => {
  it.prop(
    "is first in, first out; what needs space waits in line for it, what frees space never does",
    { ops: FastCheck.array(op, { maxLength: 60, size: "max" }) },
    ({ ops }) => {
      const model = new Model()
      let admitted = 0
      const mailbox = ActorMailbox.make<number>(() => admitted++)
      const takeBacks: Array<() => void> = []
      let taken = 0
      ops.forEach((op, request) => {
        if (op.op === "push") {
          mailbox.push(request)
          model.push(request)
        } else if (op.op === "offer") {
          takeBacks[request] = mailbox.offer(request, op.bytes)
          model.offer(request, op.bytes)
        } else if (op.op === "takeBack") {
          takeBacks[op.which]?.()
          model.waiting = model.waiting.filter((entry) => entry.request !== op.which)
        } else {
          const first = model.inside.shift()
          model.admit()
          expect(mailbox.take()).toBe(first?.request)
          if (first !== undefined) taken++
        }
        expect(admitted).toBe(taken + model.inside.length)
      })
    }
  )
})
