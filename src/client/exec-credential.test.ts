import { expect, test } from 'vitest'
import { readExecInfo, renderExecCredential } from './exec-credential.ts'

const credential = { token: 'a.b.c', expiresAtMs: Date.UTC(2030, 0, 2, 3, 4, 5, 678) }
const info = (apiVersion: unknown): string =>
  JSON.stringify({ kind: 'ExecCredential', apiVersion, spec: { interactive: true } })

test('the answer is one line with the token and its end, in whole seconds', () => {
  const answer = renderExecCredential(credential, readExecInfo(undefined))
  expect(answer.endsWith('\n')).toBe(true)
  expect(answer.trimEnd()).not.toContain('\n')
  expect(JSON.parse(answer)).toEqual({
    kind: 'ExecCredential',
    apiVersion: 'client.authentication.k8s.io/v1',
    spec: { interactive: false },
    status: { token: 'a.b.c', expirationTimestamp: '2030-01-02T03:04:05Z' },
  })
})

test.for(['client.authentication.k8s.io/v1', 'client.authentication.k8s.io/v1beta1'])(
  '%s is answered in kind',
  (version) => {
    const answer = renderExecCredential(credential, readExecInfo(info(version)))
    expect(JSON.parse(answer)).toMatchObject({ apiVersion: version })
  },
)

test.for([info('client.authentication.k8s.io/v1alpha1'), info(1), '{}', 'null', 'nonsense'])(
  'KUBERNETES_EXEC_INFO %s is refused without an answer',
  (execInfo) => {
    expect(() => readExecInfo(execInfo)).toThrow(expect.objectContaining({ code: 'BadArgument' }))
  },
)

test.for([
  [{ interactive: true }, true],
  [{ interactive: false }, false],
  [{ interactive: 'true' }, false],
  [{}, false],
  [undefined, false],
] as const)('with a spec of %o somebody is there: %o', ([spec, interactive]) => {
  const text = JSON.stringify({ apiVersion: 'client.authentication.k8s.io/v1', spec })
  expect(readExecInfo(text).interactive).toBe(interactive)
})

test('without KUBERNETES_EXEC_INFO nobody is there', () => {
  expect(readExecInfo(undefined).interactive).toBe(false)
})
