import { X509Certificate } from 'node:crypto'
import { expect, test } from 'vitest'
import { createCertificateAuthority } from '../../sandbox/certificates.ts'
import { ClientCertificates } from './client-certificates.ts'

const authority = createCertificateAuthority()
const issue = (commonName: string, organizations: readonly string[] = []): X509Certificate =>
  new X509Certificate(authority.issueClient({ commonName, organizations }).cert)
/** A minute on, so that what is issued now is valid. */
let nowMs = Date.now() + 60_000
const certificates = new ClientCertificates({ prefix: 'x509:' }, () => nowMs)

test('a certificate becomes a subject that ends when it does, the same each time', () => {
  const certificate = issue('deployer', ['robots', 'ci', 'robots'])
  const first = certificates.authenticate({ certificate, problem: '' })
  expect(first).toEqual({
    subject: { username: 'x509:deployer', uid: '', groups: ['x509:robots', 'x509:ci'], extra: {} },
    issuer: 'client certificates',
    expiresAtMs: certificate.validToDate.getTime(),
    isFinal: true,
  })
  expect(certificates.authenticate({ certificate, problem: '' })).toBe(first)

  nowMs = first.expiresAtMs
  expect(() => certificates.authenticate({ certificate, problem: '' })).toThrow('the client certificate expired')
  nowMs = certificate.validFromDate.getTime() - 1
  expect(() => certificates.authenticate({ certificate, problem: '' })).toThrow('is not valid yet')
  nowMs = Date.now() + 60_000
})

test('letters of every script are taken as they are, and a reserved name is behind the prefix', () => {
  const { subject } = certificates.authenticate({ certificate: issue('Зоя', ['system:masters']), problem: '' })
  expect(subject).toMatchObject({ username: 'x509:Зоя', groups: ['x509:system:masters'] })
})

test.for<[string, () => X509Certificate, string]>([
  ['that is for servers', () => new X509Certificate(authority.issueServer().cert), 'is not made for clients'],
  [
    'of an authority, which says nothing of a purpose',
    () => new X509Certificate(authority.certificate),
    'is not made for clients',
  ],
  ['with a name of spaces', () => issue(' '), 'has no usable name'],
  ['with an invisible character', () => issue('a\u202Eb'), 'has no usable name'],
])('a certificate %s is nobody, though its chain holds', ([, make, sentence]) => {
  expect(() => certificates.authenticate({ certificate: make(), problem: '' })).toThrow(sentence)
})

test('a chain that does not hold is told to the operator, not to the client', () => {
  expect(() => certificates.authenticate({ certificate: issue('a'), problem: 'SELF_SIGNED_CERT_IN_CHAIN' })).toThrow(
    expect.objectContaining({
      message: 'the client certificate is not one that is trusted here',
      detail: 'SELF_SIGNED_CERT_IN_CHAIN',
    }) as Error,
  )
})
