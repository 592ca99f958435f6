#!/usr/bin/env node

/** `engines` of package.json; the first release with everything that we rely on. */
const MINIMUM_NODE = [24, 18, 1]

process.exitCode = await main(process.argv.slice(2))

/**
 * Runs one command and gives back the exit code. `client token` runs before every kubectl call, so it has a lane of its
 * own that loads a few small files; all else goes through the command tree.
 */
async function main(args: readonly string[]): Promise<number> {
  if (isOlder(process.versions.node.split('.').map(Number), MINIMUM_NODE)) {
    process.stderr.write(`postern: needs Node.js ${MINIMUM_NODE.join('.')} or later, this is ${process.version}\n`)
    return 1
  }
  if (args[0] === 'client' && args[1] === 'token') {
    const { runTokenLane } = await import('./token-lane.ts')
    const exitCode = await runTokenLane(args.slice(2))
    if (exitCode !== null) return exitCode
  }
  const { endWithReaders } = await import('./broken-output.ts')
  endWithReaders()
  const { runProgram } = await import('./program.ts')
  return runProgram(args)
}

function isOlder(version: readonly number[], minimum: readonly number[]): boolean {
  const difference = minimum.findIndex((part, index) => version[index] !== part)
  return difference >= 0 && (version[difference] ?? 0) < (minimum[difference] ?? 0)
}
