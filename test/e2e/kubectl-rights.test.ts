import { describe, expect, inject, test } from 'vitest'
import { Kubectl } from './kubectl.ts'
import { SideBySide } from './side-by-side.ts'

const surroundings = inject('surroundings')

for (const version of surroundings.kubectls) {
  const here = ['default', 'default'] as const
  const ana = new Kubectl(surroundings, version, 'ana', 'default')

  describe(`kubectl ${version.version} asks the gateway for rights`, { concurrent: true }, () => {
    test('auth can-i answers from the policy of the person', async () => {
      const can = async (argv: string): Promise<string> => {
        const { code, stdout } = await ana.run(['auth', 'can-i', ...argv.split(' ')])
        return `${stdout.split(/[ \n]/)[0] ?? ''} ${code}`
      }
      expect(await can('create deployments.apps')).toBe('yes 0')
      expect(await can('create pods --subresource=exec')).toBe('yes 0')
      expect(await can('delete pods --namespace=payments')).toBe('no 1')
      expect(await can('get secrets/db')).toBe('no 1')
    })

    test('auth can-i --list', async () => {
      const { code, stdout, stderr } = await ana.run(['auth', 'can-i', '--list'])
      expect(code).toBe(0)
      expect(stdout).toMatch(/^pods\.\*\/\* +\[\] +\[\] +\[\*\]$/m)
      expect(stdout).toMatch(/^selfsubjectreviews\.authentication\.k8s\.io +\[\] +\[\] +\[create\]$/m)
      expect(stderr).toMatch(
        /^warning: the list may be incomplete: rules that deny are not listed; `\*` grants neither exec nor .*$/im,
      )
    })

    test('auth whoami', async () => {
      const { code, stdout } = await ana.run(['auth', 'whoami'])
      expect(code).toBe(0)
      expect(stdout).toMatch(/^Username +ana@example\.com$/m)
      expect(stdout).toMatch(/^Groups +\[payments-dev everyone\]$/m)
    })

    test('an administrator through the gateway sees the cluster as one does directly', async () => {
      const admin = new SideBySide(surroundings, version, { as: 'admin', namespaces: here })
      await admin.same(['get', 'nodes', '--output=wide'])
      await admin.same(['get', 'secret', 'db', '--output=yaml'])
      await admin.same(['auth', 'can-i', '*', '*', '--all-namespaces'])
    })
  })
}
