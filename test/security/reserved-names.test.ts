import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createAuthenticator, type OidcAuthenticator } from '../../src/identity/oidc-authenticator.ts'
import { attackedGateway, EVERYTHING, NAMESPACE, PROTOCOLS, UNAUTHORIZED } from '../support/attacked-gateway.ts'
import { refusalOf, unauthorized } from '../support/refusal.ts'
import { bearer, type StagedIssuer, startStagedIssuer } from '../support/staged-issuer.ts'

// Attacks B8, B12, E13.
//
// A claim becomes a name that Kubernetes acts on. It must not become a name of power, no name, or a piece of a header.

const RESERVED = 'makes a name that is reserved for Kubernetes'
let issuer: StagedIssuer
let authenticator: OidcAuthenticator

beforeAll(async () => {
  issuer = await startStagedIssuer()
  authenticator = createAuthenticator({
    issuers: [
      issuer.options({
        claimMappings: { username: { claim: 'name', prefix: '' }, groups: { claim: 'groups', prefix: '' } },
      }),
    ],
  })
})
afterAll(async () => {
  authenticator.close()
  await issuer.close()
})

test('a name that only resembles a reserved one is a name', async () => {
  const { subject } = await authenticator.authenticate(
    bearer(await issuer.sign({ name: 'systemd', groups: ['my-system:masters'] })),
  )
  expect(subject).toMatchObject({ username: 'systemd', groups: ['my-system:masters'] })
})

test.for([
  'system:admin',
  'system:anonymous',
  'system:kube-controller-manager',
  'system:node:worker-1',
  'system:serviceaccount:kube-system:default',
  'System:Admin',
  'kubeadm:cluster-admins',
])('the username %s is refused', async (name) => {
  expect(await refusalOf(authenticator, await issuer.sign({ name }))).toEqual(unauthorized(RESERVED))
})

test.for(['system:masters', 'system:nodes', 'system:authenticated', 'SYSTEM:MASTERS', 'kubeadm:cluster-admins'])(
  'the group %s is refused, and the other groups with it',
  async (group) => {
    const token = await issuer.sign({ name: 'ana', groups: ['dev', group] })
    expect(await refusalOf(authenticator, token)).toEqual(unauthorized(RESERVED))
  },
)

test.for([
  ['system:', 'admin', ['dev']],
  ['sys', 'tem:admin', ['dev']],
  ['ok-', 'admin', ['masters']],
] as const)('prefix and claim that make a reserved name together are refused (%s)', async ([prefix, name, groups]) => {
  const prefixed = createAuthenticator({
    issuers: [
      issuer.options({
        claimMappings: { username: { claim: 'name', prefix }, groups: { claim: 'groups', prefix: 'system:' } },
      }),
    ],
  })
  expect(await refusalOf(prefixed, await issuer.sign({ name, groups }))).toEqual(unauthorized(RESERVED))
  prefixed.close()
})

test.for(['', ' ', '\t', '\u00a0', '\u3000'])(
  'the empty username %j is refused, with and without prefix',
  async (name) => {
    expect(await refusalOf(authenticator, await issuer.sign({ name }))).toEqual(
      unauthorized('the "name" claim of the token is empty'),
    )
    const prefixed = createAuthenticator({
      issuers: [issuer.options({ claimMappings: { username: { claim: 'name', prefix: 'sso:' } } })],
    })
    expect(await refusalOf(prefixed, await issuer.sign({ name }))).toEqual(
      unauthorized('the "name" claim of the token is empty'),
    )
    prefixed.close()
  },
)

test.for([
  'ana\r\nImpersonate-Group: system:masters',
  'ana\nX: y',
  'ana\0',
  'ana\u0085b',
  'ana\u2028b',
  'ana\u202egnp',
  'ana\ud800',
  'ana\ufffd',
  'a\u001b]52;c;b',
])('the username %j is refused', async (name) => {
  expect(await refusalOf(authenticator, await issuer.sign({ name }))).toEqual(
    unauthorized('the "name" claim of the token has characters that a name cannot have'),
  )
})

test('names of other scripts stay as they are', async () => {
  const { subject } = await authenticator.authenticate(
    bearer(await issuer.sign({ name: 'Zoë Müller', groups: ['команда'] })),
  )
  expect(subject).toMatchObject({ username: 'Zoë Müller', groups: ['команда'] })
})

test.for(['__proto__', 'constructor', 'toString'])(
  'a mapping to %s finds no claim that the token does not have',
  async (claim) => {
    const odd = createAuthenticator({
      issuers: [issuer.options({ claimMappings: { username: { claim, prefix: '' } } })],
    })
    expect(await refusalOf(odd, await issuer.sign())).toEqual(unauthorized('the token has no usable'))
    odd.close()
  },
)

describe('a token with a name of power', () => {
  const attacked = attackedGateway({ policy: EVERYTHING, forwardAs: 'subject' })

  describe.each(PROTOCOLS)('over %s', (protocol) => {
    test.each(['system:masters', 'system:nodes', 'kubeadm:cluster-admins'])(
      'gets nobody in with the group %s',
      async (group) => {
        const token = await attacked.gateway.issuer.sign({ groups: ['payments-dev', group] })
        const answer = await attacked.send(protocol, { target: `${NAMESPACE}/pods`, token })
        const event = await attacked.expectRefused(answer, { ...UNAUTHORIZED, message: RESERVED })
        expect(event.user).toEqual({})
      },
    )
  })
})
