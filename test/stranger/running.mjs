/** Runs checks one after the other, each with connections of its own, and says of each whether it held. */
import assert from "node:assert/strict"
import { Peer } from "./peer.mjs"

export const runChecks = async (port, checks) => {
  let failures = 0
  for (const [name, check] of Object.entries(checks)) {
    const peers = []
    const open = async () => {
      const peer = await Peer.open(port)
      peers.push(peer)
      return peer
    }
    try {
      await check(open)
      console.log(`ok - ${name}`)
    } catch (problem) {
      failures++
      console.log(`not ok - ${name}\n${problem.stack}`)
    }
    for (const peer of peers) peer.close()
  }
  process.exitCode = failures === 0 ? 0 : 1
}

export const refused = (answer, words = /./) => {
  assert.equal(answer.type, "error", JSON.stringify(answer))
  assert.match(answer.error, words)
}
