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

/** Shows the build of what `title` names on standard error: one line that is rewritten on a terminal, elsewhere a line every 30 s. */
export function showBuildProgress(title: string): (progress: BuildProgress) => void {
  let shownAtSeconds = -lineEverySeconds
  return (progress) => {
    if (process.stderr.isTTY) {
      process.stderr.write(`\r\u001b[K${describe(title, progress)}`)
    } else if (progress.elapsedSeconds - shownAtSeconds >= lineEverySeconds) {
      shownAtSeconds = progress.elapsedSeconds
      process.stderr.write(`${describe(title, progress)}\n`)
    }
  }
}

function describe(title: string, { stage, elapsedSeconds, packages, totalPackages }: BuildProgress): string {
  const what = {
    waiting: 'waiting for another process that builds it',
    downloading: 'looking for modules',
    compiling: `${packages} of at most ${totalPackages} packages`,
  }[stage]
  return `building ${title} (once, up to some minutes): ${what}, ${elapsedSeconds} s`
}
