import { execFile } from 'node:child_process'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it } from 'vitest'

it('npm run demo -- --once plays to its end, and every step holds', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'postern-demo-test-'))
  try {
    const { code, output } = await new Promise<{ code: number | string | undefined; output: string }>((resolve) => {
      execFile(
        'npm',
        ['run', '--silent', 'demo', '--', '--once', '--directory', directory],
        (error, stdout, stderr) => {
          resolve({ code: error === null ? 0 : (error.code ?? undefined), output: stdout + stderr })
        },
      )
    })
    expect(output).not.toContain('FAILED')
    expect(code).toBe(0)
    const kubeconfig = await readFile(join(directory, 'kubeconfig'), 'utf8')
    for (const context of ['ana@production', 'omar@production', 'admin']) expect(kubeconfig).toContain(context)
  } finally {
    await rm(directory, { recursive: true })
  }
})
