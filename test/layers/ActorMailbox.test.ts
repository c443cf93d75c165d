/** The mailbox against a model: two lines, those inside and those that wait for room. */
import { setFlagsFromString } from "node:v8"
import { runInNewContext } from "node:vm"
import { describe, expect, it } from "@effect/vitest"
import { FastCheck } from "effect"
import * as ActorMailbox from "../../src/layers/ActorMailbox.ts"
import { mailboxBytesMax, mailboxRequestsMax } from "../../src/protocol/Limits.ts"

const op = FastCheck.oneof(
  FastCheck.record({ op: FastCheck.constant("push" as const) }),
  FastCheck.record({
    op: FastCheck.constant("pushLatest" as const),
    key: FastCheck.constantFrom("a", "b")
  }),
  FastCheck.record({
    op: FastCheck.constant("offer" as const),
    bytes: FastCheck.constantFrom(0, 1, mailboxBytesMax / 2, mailboxBytesMax, 2 * mailboxBytesMax)
  }),
  FastCheck.record({ op: FastCheck.constant("takeBack" as const), which: FastCheck.nat(20) }),
  FastCheck.record({ op: FastCheck.constant("take" as const) })
)

class Model {
  inside: Array<{ readonly request: number; readonly bytes: number; readonly key?: string }> = []
  waiting: Array<{ readonly request: number; readonly bytes: number }> = []

  push(request: number): void {
    this.inside.push({ request, bytes: 0 })
  }

  pushLatest(request: number, key: string): void {
    const index = this.inside.findIndex((entry) => entry.key === key)
    if (index === -1) this.inside.push({ request, bytes: 0, key })
    else this.inside[index] = { request, bytes: 0, key }
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
        } else if (op.op === "pushLatest") {
          mailbox.pushLatest(op.key, request)
          model.pushLatest(request, op.key)
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

  it("keeps nothing of what was taken, also where it never runs empty", async () => {
    const mailbox = ActorMailbox.make<object>(() => {})
    const taken: Array<WeakRef<object>> = []
    mailbox.push({})
    for (let round = 0; round < 10_000; round++) {
      mailbox.push({ round })
      taken.push(new WeakRef(mailbox.take()!))
    }
    // Until the event loop has turned, whatever a WeakRef was made of is kept.
    await new Promise((resolve) => setImmediate(resolve))
    collectGarbage()
    expect(taken.filter((request) => request.deref() !== undefined)).toEqual([])
    expect(mailbox.take()).toEqual({ round: 9_999 })
  })
})

/** What nobody refers to is gone afterwards; V8 has that at hand only where it is told to. */
const collectGarbage = (): void => {
  setFlagsFromString("--expose-gc")
  runInNewContext("gc")()
}
