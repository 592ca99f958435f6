import { X509Certificate } from 'node:crypto'
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, onTestFinished, test, vi } from 'vitest'
import { TrialAuthority } from './trial-authority.ts'

const DAY_MS = 24 * 60 * 60_000
const HOSTS = ['kube.example.com', '127.0.0.1', '::1']

let directory: string
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'postern-trial-'))
})
afterEach(() => {
  rmSync(directory, { recursive: true })
})

async function start(now: () => number = Date.now, at = directory): Promise<TrialAuthority> {
  const authority = await TrialAuthority.start({ directory: at, hosts: HOSTS, now })
  onTestFinished(() => {
    authority.stop()
  })
  return authority
}

describe('the authority of a trial certificate', () => {
  test('vouches for the hosts, and for servers only', async () => {
    const authority = await start()
    const chain = String(authority.issue('').options.cert)
    const [leaf, issuer] = (chain.match(/-----BEGIN[^-]+-----[^-]+-----END[^-]+-----/g) ?? []).map(
      (pem) => new X509Certificate(pem),
    )
    expect(issuer?.ca).toBe(true)
    expect(issuer !== undefined && leaf?.checkIssued(issuer) && leaf.verify(issuer.publicKey)).toBe(true)
    expect(leaf?.ca).toBe(false)
    expect(leaf?.checkHost('kube.example.com')).toBe('kube.example.com')
    expect(leaf?.checkHost('example.com')).toBeUndefined()
    expect([leaf?.checkIP('127.0.0.1'), leaf?.checkIP('::1')]).toEqual(['127.0.0.1', '::1'])
    expect(leaf?.keyUsage).toEqual(['1.3.6.1.5.5.7.3.1'])
    expect(readFileSync(authority.authorityFile, 'utf8')).toBe(issuer?.toString())
  })

  test('is the same after a restart, its key for nobody else to read', async () => {
    const first = await start(Date.now, join(directory, 'made/here'))
    const second = await start(Date.now, join(directory, 'made/here'))
    expect(second.fingerprint).toBe(first.fingerprint)
    expect(readdirSync(join(directory, 'made/here')).toSorted()).toEqual(['trial-ca.crt', 'trial-ca.pem'])
    expect(statSync(join(directory, 'made/here/trial-ca.pem')).mode & 0o777).toBe(0o600)
    expect(readFileSync(first.authorityFile, 'utf8')).not.toContain('PRIVATE')
  })

  test('is one although several connectors make it at once', async () => {
    const started = await Promise.all(Array.from({ length: 8 }, () => start()))
    expect(new Set(started.map(({ fingerprint }) => fingerprint)).size).toBe(1)
  })

  test('is made anew when it ends soon, or is not whole', async () => {
    const { fingerprint } = await start()
    const late = await start(() => Date.now() + 1740 * DAY_MS)
    expect(late.fingerprint).not.toBe(fingerprint)
    writeFileSync(join(directory, 'trial-ca.pem'), 'half')
    expect((await start()).fingerprint).not.toBe(late.fingerprint)
  })

  test('renews what it issued before that ends', async () => {
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] })
    onTestFinished(() => {
      vi.useRealTimers()
    })
    let nowMs = Date.now()
    const authority = await start(() => nowMs)
    const certificates = [authority.issue(''), authority.issue('')]
    const ends = () => certificates.map(({ inForce }) => inForce[0]?.notAfterMs ?? 0)
    const before = ends()
    nowMs += 19 * DAY_MS
    vi.advanceTimersByTime(60 * 60_000)
    expect(ends()).toEqual(before)
    nowMs += 2 * DAY_MS
    vi.advanceTimersByTime(60 * 60_000)
    expect(ends().every((end, index) => end > (before[index] ?? 0) + 20 * DAY_MS)).toBe(true)
  })

  test.skipIf(process.getuid?.() === 0)('says where it cannot be kept', async () => {
    chmodSync(directory, 0o500)
    await expect(start(Date.now, join(directory, 'closed'))).rejects.toThrow(/^cannot keep the authority .*closed: /)
  })

  test('says that it cannot be kept in a file', async () => {
    writeFileSync(join(directory, 'file'), '')
    await expect(start(Date.now, join(directory, 'file'))).rejects.toThrow(/cannot keep the authority .*file: /)
  })
})
