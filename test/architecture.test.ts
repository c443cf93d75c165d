/** The shape of the tree: what may import what, and how long a file may be. */
import { readdirSync, readFileSync } from "node:fs"
import { dirname, join, normalize } from "node:path"
import { fileURLToPath } from "node:url"
import { describe, expect, test } from "vitest"

const root = fileURLToPath(new URL("..", import.meta.url))

const sources = readdirSync(join(root, "src"), { recursive: true, encoding: "utf8" })
  .filter((path) => path.endsWith(".ts"))
  .map((path) => {
    const file = join("src", path)
    const text = readFileSync(join(root, file), "utf8")
    const imports = [...text.matchAll(/(?:from|import)\s+"([^"]+)"/g)].map((match) => match[1]!)
    return { file, text, imports }
  })

/** Paths of our own that a file imports, from the root of the project. */
const ours = ({ file, imports }: (typeof sources)[number]) =>
  imports.filter((path) => path.startsWith(".")).map((path) => normalize(join(dirname(file), path)))

/** Rooms from the ground up; a file imports its own and those before it. The rest of src composes them. */
const rooms = ["src/protocol/", "src/actors/", "src/layers/", "src/http/", "src/"]
const floorOf = (path: string) => rooms.findIndex((room) => path.startsWith(room))

const violations = (offends: (source: (typeof sources)[number]) => ReadonlyArray<string>) =>
  sources.flatMap((source) => offends(source).map((what) => `${source.file}: ${what}`))

/** What makes layers of settings: it alone knows engines. Commands put together what it makes. */
const isComposition = (file: string) => file.startsWith("src/compose/")

describe("the tree", () => {
  test("imports run one way: main → http → layers → actors → protocol", () => {
    expect(
      violations((source) => ours(source).filter((path) => floorOf(path) > floorOf(source.file)))
    ).toEqual([])
  })

  test("what a service stands on is imported by its own folder and the composition alone", () => {
    const folderOf = (path: string) => /^src\/(?:layers|http|actors)\/[a-z-]+\//.exec(path)?.[0]
    const owner = (path: string) => {
      const folder = folderOf(path)
      return folder?.startsWith("src/layers/") && folder !== "src/layers/settings/" ? folder : undefined
    }
    expect(
      violations((source) =>
        isComposition(source.file)
          ? []
          : ours(source).filter((path) => owner(path) !== undefined && owner(path) !== folderOf(source.file))
      )
    ).toEqual([])
  })

  test("machines and protocol do no I/O and know no clock and no chance", () => {
    const impure =
      /\b(Date\.now|new Date\(\)|Math\.random|performance\.|setTimeout|setInterval|setImmediate|process\.\w|randomUUID|fetch\()/
    const effectful =
      /import \{[^}]*\b(Effect|Clock|Random|Layer|Context|Stream|Schedule|Runtime)\b[^}]*\} from "effect"/
    expect(
      violations(({ file, text, imports }) =>
        floorOf(file) > 1
          ? []
          : [
              ...imports.filter((path) => path.startsWith("node:") || path.startsWith("@effect/")),
              ...(impure.exec(text)?.slice(0, 1) ?? []),
              ...(effectful.exec(text)?.slice(1, 2) ?? [])
            ]
      )
    ).toEqual([])
  })

  test("machines start nothing: no invoke, no spawn, no emit, no delayed transitions", () => {
    const starts = /\b(invoke|spawn|spawnChild|emit|after|raise|sendTo):/
    expect(
      violations(({ file, text }) =>
        file.startsWith("src/actors/") ? (starts.exec(text)?.slice(1) ?? []) : []
      )
    ).toEqual(["src/actors/Step.ts: emit"])
  })

  test("files say what they are for, and are short enough to read", () => {
    expect(
      violations(({ text }) => [
        ...(/^(#!.*\n)?\/\*\*/.test(text) ? [] : ["does not start with what it is for"]),
        ...(text.split("\n").length > 351 ? ["has more than 350 lines"] : [])
      ])
    ).toEqual([])
  })
})
