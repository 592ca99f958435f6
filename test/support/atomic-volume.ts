import { chmod, mkdir, readFile, readdir, rename, rm, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

/** A volume with files, as the kubelet keeps those of a ConfigMap, a Secret or a projected token. */
export class AtomicVolume {
  readonly directory: string
  readonly #mode: number
  #revision = 0

  private constructor(directory: string, mode: number) {
    this.directory = directory
    this.#mode = mode
  }

  /** `mode` is that of the files, which a manifest calls `defaultMode`. */
  static async create(directory: string, files: Readonly<Record<string, string>>, mode = 0o644): Promise<AtomicVolume> {
    await mkdir(directory, { recursive: true })
    const volume = new AtomicVolume(directory, mode)
    await volume.replace(files)
    return volume
  }

  /**
   * All files at once: `NAME -> ..data/NAME`, `..data -> ..REVISION`, of which the last is swapped; then
   * names that are gone are removed.
   *
   * @see k8s.io/kubernetes pkg/volume/util/atomic_writer.go
   */
  async replace(files: Readonly<Record<string, string>>): Promise<void> {
    const old = `..revision_${this.#revision}`
    this.#revision += 1
    const revision = `..revision_${this.#revision}`
    await mkdir(join(this.directory, revision))
    for (const [name, content] of Object.entries(files)) {
      await writeFile(join(this.directory, revision, name), content)
      await chmod(join(this.directory, revision, name), this.#mode)
    }
    await symlink(revision, join(this.directory, '..data_tmp'))
    await rename(join(this.directory, '..data_tmp'), join(this.directory, '..data'))
    for (const name of Object.keys(files)) {
      const link = join(this.directory, name)
      if ((await readFile(link, 'utf8').catch(() => null)) === null) await symlink(join('..data', name), link)
    }
    for (const name of await readdir(this.directory)) {
      if (!name.startsWith('..') && !(name in files)) await rm(join(this.directory, name))
    }
    await rm(join(this.directory, old), { recursive: true, force: true })
  }
}
