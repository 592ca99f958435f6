import { readFile } from 'node:fs/promises'
import { describe, expect, it } from 'vitest'
import { parseProperties } from './connector-status.ts'
import { type UnitOptions, renderUnit, whyHidden } from './systemd-unit.ts'

const usual: UnitOptions = {
  command: ['/usr/bin/node', '/usr/lib/node_modules/postern/dist/cli/main.js'],
  config: '/etc/postern/connector.yaml',
  environmentFile: '/etc/postern/environment',
  endMs: 10_000,
  writable: [],
  privilegedPort: false,
}

describe('the unit', () => {
  it('checks the document, then starts the connector as a user of its own', () => {
    const unit = renderUnit(usual)
    const main = '/usr/bin/node /usr/lib/node_modules/postern/dist/cli/main.js connector'
    expect(unit).toContain(`\nExecStartPre=${main} check --config /etc/postern/connector.yaml\n`)
    expect(unit).toContain(`\nExecStart=${main} start --config /etc/postern/connector.yaml\n`)
    expect(unit).toContain('\nUser=postern\n')
    expect(unit).toContain('\nCapabilityBoundingSet=\n')
  })

  it('is the one in deploy/, for those who install without the command', async () => {
    const file = new URL('../../deploy/postern.service', import.meta.url)
    expect(await readFile(file, 'utf8')).toBe(renderUnit(usual))
  })

  it('leaves the connector the time that its document says', () => {
    expect(renderUnit({ ...usual, endMs: 90_500 })).toContain('\nTimeoutStopSec=121s\n')
  })

  it('has one capability for a port that needs it', () => {
    expect(renderUnit({ ...usual, privilegedPort: true })).toContain('\nAmbientCapabilities=CAP_NET_BIND_SERVICE\n')
  })

  it.each([
    ['/data/with space', '"/data/with space"', '"/data/with space"'],
    ['/data/100%', '/data/100%%', '/data/100%%'],
    ['/data/$HOME', '/data/$HOME', '/data/$$HOME'],
    ['/data/"q"', '"/data/\\"q\\""', '"/data/\\"q\\""'],
  ])('writes %s so that systemd reads it as it is', (path, written, argument) => {
    expect(renderUnit({ ...usual, writable: [path] })).toContain(`\nReadWritePaths=${written}\n`)
    expect(renderUnit({ ...usual, config: path })).toContain(`--config ${argument}\n`)
  })
})

it.each([
  ['/data/100%', '/data/100%%'],
  ['/data/[a]*?', '/data/\\[a]\\*\\?'],
  ['/data/with space', '/data/with space'],
])('has its variables from %s where there is such a file', (environmentFile, written) => {
  expect(renderUnit({ ...usual, environmentFile })).toContain(`\nEnvironmentFile=-${written}\n`)
})

it('does not see homes and what is temporary, and says by which setting', () => {
  const unit = renderUnit(usual)
  for (const path of ['/home/ana/kubeconfig', '/root/.kube/config', '/run/user/0/a', '/tmp', '/tmp/a', '/var/tmp/a']) {
    const [, setting = ''] = /\((\w+=yes) in its unit\)$/.exec(whyHidden(path)) ?? []
    expect(unit).toContain(`\n${setting}\n`)
  }
  for (const path of ['/etc/postern', '/homes/a', '/srv/tmp/a', '/tmpfiles']) expect(whyHidden(path)).toBe('')
})

it('properties of a service are read by name', () => {
  const text = 'ActiveState=active\nMainPID=7\nActiveEnterTimestamp=Mon 2026-01-05 10:00:00 UTC\nOther=x=y\n'
  expect(parseProperties(text)).toMatchObject({
    active: 'active',
    pid: '7',
    since: 'Mon 2026-01-05 10:00:00 UTC',
    loaded: '',
  })
})
