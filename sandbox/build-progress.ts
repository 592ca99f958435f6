/** How far a build has come. */
export interface BuildProgress {
  readonly stage: 'waiting' | 'downloading' | 'compiling'
  readonly elapsedSeconds: number
  /** Packages compiled by this build. */
  readonly packages: number
  /** Packages of the whole program; those already in Go's own cache are not compiled again. 0 until known. */
  readonly totalPackages: number
}

const lineEverySeconds = 30

/** Shows a build on standard error: one line that is rewritten on a terminal, elsewhere a line every 30 s. */
export function showBuildProgress(): (progress: BuildProgress) => void {
  let shownAtSeconds = -lineEverySeconds
  return (progress) => {
    if (process.stderr.isTTY) {
      process.stderr.write(`\r\u001b[K${describe(progress)}`)
    } else if (progress.elapsedSeconds - shownAtSeconds >= lineEverySeconds) {
      shownAtSeconds = progress.elapsedSeconds
      process.stderr.write(`${describe(progress)}\n`)
    }
  }
}

function describe({ stage, elapsedSeconds, packages, totalPackages }: BuildProgress): string {
  const what = {
    waiting: 'waiting for another process that builds it',
    downloading: 'looking for modules',
    compiling: `${packages} of at most ${totalPackages} packages`,
  }[stage]
  return `building the Kubernetes control plane (once, some minutes): ${what}, ${elapsedSeconds} s`
}
