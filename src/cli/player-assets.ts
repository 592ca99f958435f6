import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import type { PlayerAssets } from '../audit/playback/recording-page.ts'

/** The asciinema-player that is installed with us. */
export async function readPlayerAssets(): Promise<PlayerAssets> {
  const read = (url: string): Promise<string> => readFile(fileURLToPath(url), 'utf8')
  const [script, style] = await Promise.all([
    read(import.meta.resolve('asciinema-player/dist/bundle/asciinema-player.min.js')),
    read(import.meta.resolve('asciinema-player/dist/bundle/asciinema-player.css')),
  ])
  return { script, style }
}
