import { readFileSync, readdirSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { lintPolicies } from './lint.ts'
import { loadPolicies } from './policy-set.ts'
import { runPolicyTests } from './policy-tests.ts'

const directory = new URL('../../examples/policies/', import.meta.url)
const files = readdirSync(directory).filter((name) => name.endsWith('.yaml'))
const read = (file: string) => ({ file, text: readFileSync(new URL(file, directory), 'utf8') })

test('there are examples', () => {
  expect(files.length).toBeGreaterThan(4)
})

describe.each(files.map((file) => [file]))('examples/policies/%s', (file) => {
  test('does what its tests say, and has a test for every rule', () => {
    const { results, untested } = runPolicyTests(loadPolicies([read(file)]))
    expect(results.length).toBeGreaterThan(5)
    expect([results.filter(({ passed }) => !passed), untested]).toEqual([[], []])
  })

  test('has no mistakes', () => {
    const findings = lintPolicies(loadPolicies([read(file)]), { nowMs: 0, sockets: null, served: null })
    expect(findings.filter(({ code }) => code !== 'cluster-admin')).toEqual([])
  })
})

test('all examples together do what their tests say', () => {
  const { results } = runPolicyTests(loadPolicies(files.map(read)))
  expect(results.filter(({ passed }) => !passed)).toEqual([])
})
