/**
 * Files that fail and crash as disks do: a layer over the real ones, which keeps account of what of each is on the disk.
 *
 * What was written and not synced may be there after a crash or not, page by page, in any order; what was synced is. A sync that
 * fails leaves some of it there, and says nothing of it ever again.
 */
import { mkdirSync, writeFileSync } from "node:fs"
import { basename, join } from "node:path"
import { Effect, Layer } from "effect"
import * as Files from "../../src/layers/Files.ts"

const pageBytes = 64

/** What was done to a file since it was synced. */
type Change = { readonly position: number; readonly bytes: Buffer } | { readonly length: number }

interface Inode {
  durable: Buffer
  pending: Array<Change>
}

const resized = (bytes: Buffer, length: number): Buffer =>
  length <= bytes.length
    ? bytes.subarray(0, length)
    : Buffer.concat([bytes, Buffer.alloc(length - bytes.length)])

/** A file with those changes that chance lets through: each page of a write by itself. */
const applied = ({ durable, pending }: Inode, survives: () => boolean): Buffer => {
  let content: Buffer = Buffer.from(durable)
  for (const change of pending) {
    if ("length" in change) {
      if (survives()) content = resized(content, change.length)
      continue
    }
    const { position, bytes } = change
    for (let at = 0; at < bytes.length; ) {
      const length = Math.min(pageBytes - ((position + at) % pageBytes), bytes.length - at)
      if (survives()) {
        const end = position + at + length
        if (content.length < end) content = resized(content, end)
        bytes.copy(content, position + at, at, at + length)
      }
      at += length
    }
  }
  return content
}

/** An operation that is to fail, and how much of a write is done before. */
export interface Fault {
  readonly operation: "write" | "datasync" | "create" | "syncDirectory" | "truncate" | "rename"
  readonly code: "ENOSPC" | "EIO"
  readonly share?: number
}

export class CrashDisk {
  private inodes = new Map<string, Inode>()
  /** Names as they are, and as they are on the disk. */
  private names = new Map<string, Inode>()
  private durableNames = new Map<string, Inode>()
  /** Whether the next operation of that kind fails. */
  fault: (operation: Fault["operation"], path: string) => Fault | undefined = () => undefined
  /** Called before every operation that changes something. */
  onChange: () => void = () => undefined
  private readonly survives: () => boolean

  constructor(survives: () => boolean) {
    this.survives = survives
  }

  /** Writes what a loss of power leaves into a folder. */
  crashInto(directory: string): void {
    mkdirSync(directory, { recursive: true })
    const names = this.survives() ? this.names : this.durableNames
    for (const [path, inode] of names) {
      writeFileSync(join(directory, basename(path)), applied(inode, this.survives))
    }
  }

  /** Takes in a folder that is on the disk. */
  adopt(path: string, content: Buffer): void {
    const inode = { durable: content, pending: [] }
    this.inodes.set(path, inode)
    this.names.set(path, inode)
    this.durableNames.set(path, inode)
  }

  private failing(operation: Fault["operation"], path: string): Files.FileFailed | undefined {
    this.onChange()
    const fault = this.fault(operation, path)
    const failed = { write: "written", datasync: "synced", create: "made" } as Record<string, string>
    return (
      fault &&
      new Files.FileFailed({
        path,
        operation: failed[operation] ?? operation,
        code: fault.code,
        problem: fault.code === "ENOSPC" ? "no space left on device" : "i/o error"
      })
    )
  }

  private opened(file: Files.OpenFile, inode: Inode): Files.OpenFile {
    return {
      ...file,
      write: (bytes, position) =>
        Effect.suspend(() => {
          this.onChange()
          const fault = this.fault("write", file.path)
          const part = Buffer.from(
            bytes.subarray(0, Math.floor(bytes.length * (fault ? (fault.share ?? 0) : 1)))
          )
          inode.pending.push({ position, bytes: part })
          if (fault === undefined) return file.write(bytes, position)
          const problem = fault.code === "ENOSPC" ? "no space left on device" : "i/o error"
          return Effect.zipRight(
            file.write(part, position),
            new Files.FileFailed({ path: file.path, operation: "written", code: fault.code, problem })
          )
        }),
      datasync: Effect.suspend(() => {
        const failed = this.failing("datasync", file.path)
        const synced = [...inode.pending]
        const settle = (survives: () => boolean) => {
          inode.durable = applied({ durable: inode.durable, pending: synced }, survives)
          inode.pending = inode.pending.slice(synced.length)
        }
        if (failed === undefined) return Effect.map(file.datasync, () => settle(() => true))
        settle(this.survives)
        return Effect.fail(failed)
      }),
      truncate: (length) =>
        Effect.suspend(() => {
          const failed = this.failing("truncate", file.path)
          if (failed !== undefined) return Effect.fail(failed)
          inode.pending.push({ length })
          return file.truncate(length)
        })
    }
  }

  get layer(): Layer.Layer<Files.Files> {
    return Layer.provide(
      Layer.effect(
        Files.Files,
        Effect.map(Files.Files, (files) =>
          Files.Files.of({
            ...files,
            open: (path, mode) =>
              Effect.suspend(() => {
                const failed = mode === "create" ? this.failing("create", path) : undefined
                if (failed !== undefined) return Effect.fail(failed)
                return Effect.map(files.open(path, mode), (file) => {
                  if (mode === "create") this.names.set(path, { durable: Buffer.alloc(0), pending: [] })
                  return this.opened(file, this.names.get(path)!)
                })
              }),
            rename: (from, to) =>
              Effect.suspend(() => {
                const failed = this.failing("rename", from)
                if (failed !== undefined) return Effect.fail(failed)
                return Effect.map(files.rename(from, to), () => {
                  this.names.set(to, this.names.get(from)!)
                  this.names.delete(from)
                })
              }),
            remove: (path) =>
              Effect.suspend(() => {
                this.onChange()
                return Effect.map(files.remove(path), () => void this.names.delete(path))
              }),
            syncDirectory: (path) =>
              Effect.suspend(() => {
                const failed = this.failing("syncDirectory", path)
                if (failed !== undefined) return Effect.fail(failed)
                return Effect.map(files.syncDirectory(path), () => {
                  this.durableNames = new Map(this.names)
                })
              })
          })
        )
      ),
      Files.layerNode
    )
  }
}
