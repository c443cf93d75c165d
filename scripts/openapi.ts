/** `make openapi-gen`, or `tsx scripts/openapi.ts FILE`: writes the gateway's OpenAPI document, with no server. */
import { mkdir, writeFile } from "node:fs/promises"
import { dirname } from "node:path"
import { gatewayDocument } from "../src/http/GatewayDocument.ts"

const [file] = process.argv.slice(2)
if (file === undefined) throw new Error("usage: tsx scripts/openapi.ts FILE")
await mkdir(dirname(file), { recursive: true })
await writeFile(file, `${JSON.stringify(gatewayDocument, null, 2)}\n`)
console.log(file)
