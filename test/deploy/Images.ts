/**
 * The images that proofs of the deployment run: the pipeline's own, built from its real Dockerfile, on a stand-in for Node's
 * image where no registry can be reached, and a stand-in for InfluxDB's that holds the real server.
 *
 * Each is built once for what goes into it, and kept as an archive outside the project; podman has it under its published name.
 */
import { createHash } from "node:crypto"
import { existsSync, mkdirSync, writeFileSync } from "node:fs"
import { copyFile, cp, mkdir, mkdtemp, readdir, readFile, rename, rm, writeFile } from "node:fs/promises"
import { homedir, tmpdir } from "node:os"
import { basename, join } from "node:path"
import { fileURLToPath } from "node:url"
import { execute, outcomeOf, root } from "./Tool.ts"

/** Programs that building images takes. InfluxDB's also needs its server: INFLUXD says where it is, or the path. */
export const imageTools = ["podman", "buildah", "runc", "debootstrap", "npm"]

export interface Image {
  /** The name under which podman has it, and the archive holds it: with registry and tag, as Kubernetes looks it up. */
  readonly name: string
  /** For `ctr --namespace k8s.io images import` and `podman load`. */
  readonly archive: string
}

const cache = join(process.env.XDG_CACHE_HOME ?? join(homedir(), ".cache"), "telemetry-pipeline-images")

/** Where podman keeps what tests make: apart from the images of whoever runs them, as some have the names of published ones. */
const storage = join(cache, "storage.conf")
mkdirSync(cache, { recursive: true })
writeFileSync(
  storage,
  `[storage]
driver = "overlay"
graphroot = ${JSON.stringify(join(cache, "storage"))}
runroot = "/run/telemetry-pipeline-images"
`
)

/** Variables with which podman, buildah and podman-compose work here: pass them to each. */
export const containerEnvironment = {
  CONTAINERS_CONF: fileURLToPath(new URL("containers/containers.conf", import.meta.url)),
  CONTAINERS_STORAGE_CONF: storage
}

const execution = { env: containerEnvironment }

const keyOf = (...parts: ReadonlyArray<string | Buffer>): string => {
  const hash = createHash("sha256")
  for (const part of parts) hash.update(`${part.length}:`).update(part)
  return hash.digest("hex").slice(0, 12)
}

const inTemporaryFolder = async <A>(use: (folder: string) => Promise<A>): Promise<A> => {
  const folder = await mkdtemp(join(tmpdir(), "telemetry-pipeline-image-"))
  try {
    return await use(folder)
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

/** A file of the cache, made where it is missing; files of other keys go. */
const cached = async (
  name: string,
  key: string,
  extension: string,
  make: (file: string) => Promise<unknown>
): Promise<string> => {
  const file = join(cache, `${name}-${key}.${extension}`)
  if (existsSync(file)) return file
  await mkdir(cache, { recursive: true })
  // In one step: who looks for it meanwhile finds nothing or all of it.
  const made = `${file}.${process.pid}`
  await rm(made, { force: true })
  await make(made)
  await rename(made, file)
  const others = (await readdir(cache)).filter(
    (other) => other.startsWith(`${name}-`) && other.endsWith(extension)
  )
  for (const other of others) if (join(cache, other) !== file) await rm(join(cache, other), { force: true })
  return file
}

/** Where the images that have no owner are. */
const library = "docker.io/library"

const image = async (
  repository: string,
  tag: string,
  key: string,
  registry: string,
  build: (name: string) => Promise<unknown>
): Promise<Image> => {
  const name = `${registry}/${repository}:${tag}`
  const keyed = `localhost/${repository}:${key}`
  const archive = await cached(repository, key, "tar", async (file) => {
    await build(name)
    await execute(
      "podman",
      ["save", "--quiet", "--format", "docker-archive", "--output", file, name],
      execution
    )
    await execute("podman", ["tag", name, keyed], execution)
    // What earlier builds left: other keys, and layers that no build has used for days.
    const own = [
      "images",
      "--filter",
      `reference=localhost/${repository}`,
      "--format",
      "{{.Repository}}:{{.Tag}}"
    ]
    const names = (await execute("podman", own, execution)).trim().split("\n")
    for (const other of names) if (other !== keyed) await outcomeOf("podman", ["rmi", other], execution)
    await execute("podman", ["image", "prune", "--force", "--filter", "until=72h"], execution)
  })
  const { exitCode } = await outcomeOf("podman", ["image", "exists", keyed], execution)
  if (exitCode === 0) await execute("podman", ["tag", keyed, name], execution)
  else {
    await execute("podman", ["load", "--quiet", "--input", archive], execution)
    await execute("podman", ["tag", name, keyed], execution)
  }
  return { name, archive }
}

/** Debian's smallest, with curl, which the published images of others have. */
const debianKey = keyOf("bookworm", "minbase", "curl,ca-certificates")

const debian = (): Promise<string> =>
  cached("debian", debianKey, "tar", (file) =>
    inTemporaryFolder(async (folder) => {
      const options = ["--variant=minbase", "--include=curl,ca-certificates", "bookworm", folder]
      await execute("debootstrap", options)
      for (const leftover of ["var/cache/apt", "var/lib/apt/lists"])
        await rm(join(folder, leftover), { recursive: true })
      await execute("tar", ["-C", folder, "-cf", file, "."])
    })
  )

/** Imports Debian with what `add` puts in its folder. */
const importDebian = async (
  name: string,
  changes: ReadonlyArray<string>,
  add: (folder: string) => Promise<unknown>
): Promise<void> => {
  const archive = await debian()
  await inTemporaryFolder(async (folder) => {
    const system = join(folder, "system")
    await mkdir(system)
    await execute("tar", ["-C", system, "-xf", archive])
    await add(system)
    await execute("tar", ["-C", system, "-cf", join(folder, "system.tar"), "."])
    const options = ["--quiet", ...changes.flatMap((change) => ["--change", change])]
    await execute("podman", ["import", ...options, join(folder, "system.tar"), name], execution)
  })
}

const nodePackage = `node-linux-${process.arch}`
const nodeVersion = "24.9.0"

/** Stands in for `node:24-bookworm-slim`: Debian, Node 24 as npm has it, and this machine's npm. */
export const baseImage = async (): Promise<Image> => {
  const npm = join((await execute("npm", ["root", "--global"])).trim(), "npm")
  const npmManifest = await readFile(join(npm, "package.json"))
  return image(
    "node",
    "24-bookworm-slim",
    keyOf(debianKey, nodePackage, nodeVersion, npmManifest),
    library,
    (name) =>
      importDebian(
        name,
        ["ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],
        (system) =>
          inTemporaryFolder(async (folder) => {
            await execute("npm", [
              "install",
              "--prefix",
              folder,
              "--no-save",
              `${nodePackage}@${nodeVersion}`
            ])
            await copyFile(
              join(folder, "node_modules", nodePackage, "bin/node"),
              join(system, "usr/local/bin/node")
            )
            const modules = join(system, "usr/local/lib/node_modules")
            await cp(npm, join(modules, "npm"), { recursive: true })
            const links =
              "ln -s ../lib/node_modules/npm/bin/npm-cli.js npm && ln -s ../lib/node_modules/npm/bin/npx-cli.js npx"
            await execute("sh", ["-c", links], { cwd: join(system, "usr/local/bin") })
          })
      )
  )
}

/** Secrets of the build: what this machine's npm goes by (its registry, its tokens, the certificates that it trusts). */
const secrets = async (folder: string): Promise<ReadonlyArray<string>> => {
  const get = async (setting: string) => (await execute("npm", ["config", "get", setting])).trim()
  const [file, registry, authorities] = [await get("userconfig"), await get("registry"), await get("cafile")]
  const own = existsSync(file) ? (await readFile(file, "utf8")).split("\n") : []
  // The folder of this machine's Node is not in the image.
  const settings = [
    ...own.filter((line) => !/^(nodedir|cafile|registry) *=/.test(line)),
    `registry=${registry}`
  ]
  const certificates = existsSync(authorities)
  if (certificates) settings.push("cafile=/run/secrets/certificates")
  const npmrc = join(folder, "npmrc")
  await writeFile(npmrc, settings.join("\n"), { mode: 0o600 })
  return [`id=npmrc,src=${npmrc}`, ...(certificates ? [`id=certificates,src=${authorities}`] : [])]
}

/** The files of the build's context: what .dockerignore lets in. */
const contextFiles = async (): Promise<ReadonlyArray<string>> => {
  const ignored = await readFile(join(root, ".dockerignore"), "utf8")
  const roots = ignored.split("\n").flatMap((line) => (line.startsWith("!") ? [line.slice(1)] : []))
  return (await execute("find", [...roots, "-type", "f"])).trim().split("\n").sort()
}

/** `telemetry-pipeline:<version>`, of the project as it stands. */
export const pipelineImage = async (): Promise<Image> => {
  const base = await baseImage()
  const files = [".dockerignore", "deploy/docker/Dockerfile", ...(await contextFiles())]
  const contents = await Promise.all(files.map((file) => readFile(join(root, file))))
  const { version } = JSON.parse(await readFile(join(root, "package.json"), "utf8"))
  const key = keyOf(basename(base.archive), ...files, ...contents)
  return image("telemetry-pipeline", version, key, library, (name) =>
    inTemporaryFolder(async (folder) => {
      const machine = ["--isolation", "chroot", "--network", "host"]
      for (const secret of await secrets(folder)) machine.push("--secret", secret)
      // Health checks are Docker's, which the format of the OCI leaves out.
      const options = ["--format", "docker", "--layers", "--build-arg", `BASE=${base.name}`]
      const build = ["bud", ...machine, ...options, "--file", "deploy/docker/Dockerfile", "--tag", name, "."]
      await execute("buildah", build, execution)
    })
  )
}

const influxdbVersion = "2.7.12"

/** Stands in for `influxdb:2.7.12`: Debian, and the real influxd. As there, its user is 1000 and owns /var/lib/influxdb2. */
export const influxdbImage = async (): Promise<Image> => {
  const influxd = process.env.INFLUXD ?? (await execute("sh", ["-c", "command -v influxd"])).trim()
  const changes = ["CMD influxd", "EXPOSE 8086"]
  const key = keyOf(debianKey, ...changes, await readFile(influxd))
  return image("influxdb", influxdbVersion, key, library, (name) =>
    importDebian(name, changes, async (system) => {
      await copyFile(influxd, join(system, "usr/bin/influxd"))
      const user =
        "useradd --uid 1000 --user-group --create-home influxdb && install -d -o 1000 -g 1000 /var/lib/influxdb2"
      await execute("chroot", [system, "sh", "-c", user])
    })
  )
}

const prometheusVersion = "v3.13.5"

/** Stands in for `prom/prometheus`: Debian, and the real prometheus and promtool of the path. As there, its user is nobody. */
export const prometheusImage = async (): Promise<Image> => {
  const programs = await Promise.all(
    ["prometheus", "promtool"].map(async (program) =>
      (await execute("sh", ["-c", `command -v ${program}`])).trim()
    )
  )
  const changes = ['ENTRYPOINT ["/bin/prometheus"]', "USER 65534:65534"]
  const key = keyOf(
    debianKey,
    ...changes,
    ...(await Promise.all(programs.map((program) => readFile(program))))
  )
  return image("prometheus", prometheusVersion, key, "docker.io/prom", (name) =>
    importDebian(name, changes, async (system) => {
      for (const program of programs) await copyFile(program, join(system, "bin", basename(program)))
      await execute("install", ["-d", "-o", "65534", "-g", "65534", join(system, "prometheus")])
    })
  )
}
