import { spawnSync } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

/*
 * `npm run bench`: one file answers one question. With a name it runs that one, with further arguments handed on;
 * without, every one in turn. Each says what it compares, and prints ratios within one interleaved run.
 */

const directory = fileURLToPath(new URL('.', import.meta.url))
const names = readdirSync(directory)
  .filter((file) => file.endsWith('.ts') && file !== 'main.ts')
  .map((file) => file.slice(0, -'.ts'.length))
const [wanted, ...args] = process.argv.slice(2)

if (wanted !== undefined && !names.includes(wanted)) {
  process.stderr.write(`bench: there is no ${wanted}; there are ${names.join(', ')}\n`)
  process.exitCode = 64
} else {
  for (const name of wanted === undefined ? names : [wanted]) {
    process.stdout.write(`\n# ${name}\n`)
    const { status } = spawnSync(process.execPath, [`${directory}${name}.ts`, ...args], { stdio: 'inherit' })
    if (status !== 0) process.exitCode = 1
  }
}
