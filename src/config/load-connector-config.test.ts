import { join } from 'node:path'
import { inspect } from 'node:util'
import { describe, expect, test } from 'vitest'
import { head, minimal, stageConnectorDirectory } from '../../test/support/connector-directory.ts'
import { DEFAULT_LIMITS } from '../gateway/limits.ts'
import { DEFAULT_ALGORITHMS } from '../identity/issuer-options.ts'
import { loadConnectorConfig } from './load-connector-config.ts'

const { directory, home, authority, other, client, write, surroundings, load, mistakesIn } = stageConnectorDirectory()

describe('a right document', () => {
  test('is completed: defaults, absolute paths, files', async () => {
    const files = { certificate: join(directory, 'tls.crt'), key: join(directory, 'tls.key') }
    expect(await load(minimal)).toEqual({
      listen: {
        kubernetes: {
          address: { host: '127.0.0.1', port: 8443 },
          tls: [files],
          publicURL: 'https://kube.example.com',
          trustedProxies: [],
        },
        portal: {
          address: { host: '', port: 8444 },
          tls: [files],
          publicURL: 'https://postern.example.com',
          trustedProxies: [],
        },
        ops: { address: { host: '127.0.0.1', port: 9443 } },
      },
      identity: {
        issuers: [
          {
            url: 'https://sso.example.com',
            audiences: ['postern'],
            certificateAuthority: authority.certificate,
            algorithms: DEFAULT_ALGORITHMS,
            client: {
              id: 'postern',
              scopes: ['openid', 'profile', 'email', 'offline_access'],
              deviceAuthorization: false,
              backchannelLogout: false,
              redirectHost: '127.0.0.1',
            },
            claimMappings: {
              username: { claim: 'email', prefix: '' },
              groups: { claim: 'groups', prefix: 'sso:' },
            },
            claimValidationRules: [],
            userValidationRules: [],
          },
        ],
        serviceAccounts: [],
        clientCertificates: null,
      },
      sockets: [
        {
          name: 'production',
          hosts: [],
          upstream: { kind: 'kubeconfig', path: [join(home, '.kube/config')], context: undefined },
          forwardAs: 'connector',
          recording: { sessions: 'off', input: false },
        },
      ],
      defaultSocket: null,
      policies: [{ directory: join(directory, 'policies'), glob: '*.yaml' }],
      policyObjects: null,
      recordings: null,
      audit: { trail: { kind: 'directory', path: join(directory, 'trail') }, requestReceived: false },
      limits: { ...DEFAULT_LIMITS, shutdownDelayMs: 0 },
      stateDirectory: join(home, '.local/state/postern'),
      loginsDirectory: null,
    })
  })

  test('may name several certificates of a listener, or none', async () => {
    const one = 'tls: { certificate: tls.crt, key: tls.key }'
    const two = 'tls: [{ certificate: tls.crt, key: tls.key }, { certificate: client.crt, key: client.key }]'
    const several = await load(minimal.replace(one, two))
    expect(several.listen.kubernetes.tls).toMatchObject([
      { key: join(directory, 'tls.key') },
      { key: join(directory, 'client.key') },
    ])
    const none = await load(minimal.replace(`${one}, `, ''))
    expect(none.listen.kubernetes.tls).toBeNull()
  })

  test('may name the private authority of the kubernetes listener, as a path or in place', async () => {
    const one = `key: tls.key }, publicURL: 'https://Kube.example.com/'`
    const named = one.replace('tls.key', 'tls.key, certificateAuthority: ca.crt')
    const atPath = await load(minimal.replace(one, named))
    expect(atPath.listen.kubernetes.tls).toMatchObject([{ certificateAuthority: { file: join(directory, 'ca.crt') } }])
    const written = one.replace('tls.key', `tls.key, certificateAuthority: ${JSON.stringify(authority.certificate)}`)
    const inPlace = await load(minimal.replace(one, written))
    expect(inPlace.listen.kubernetes.tls).toMatchObject([{ certificateAuthority: { value: authority.certificate } }])
  })

  test.each([
    ['client.crt', 'the certificate is not signed by its certificate authority'],
    ['nowhere.crt', 'cannot read nowhere.crt: no such file'],
    ['tls.key', 'the certificate authority holds no PEM certificate'],
  ])('may not name %s as the private authority', async (file, problem) => {
    const one = `key: tls.key }, publicURL: 'https://Kube.example.com/'`
    const named = one.replace('tls.key', `tls.key, certificateAuthority: ${file}`)
    expect(await mistakesIn(minimal.replace(one, named))).toEqual([
      expect.stringMatching(new RegExp(`listen\\.kubernetes\\.tls\\.certificateAuthority: ${problem}`)),
    ])
  })

  test.each<[string, Record<string, string>, string]>([
    [
      'as systemd says',
      { STATE_DIRECTORY: '/var/lib/postern:/var/lib/other', XDG_STATE_HOME: '/xdg' },
      '/var/lib/postern',
    ],
    ['as XDG says', { XDG_STATE_HOME: '/xdg' }, '/xdg/postern'],
  ])('keeps its state %s', async (_how, environment, expected) => {
    const path = write('connector.yaml', minimal)
    const { stateDirectory, loginsDirectory } = await loadConnectorConfig(path, { ...surroundings(), environment })
    expect(stateDirectory).toBe(expected)
    expect(loginsDirectory).toBe('STATE_DIRECTORY' in environment ? expected : null)
    write('connector.yaml', `${minimal}stateDirectory: state\n`)
    const written = await loadConnectorConfig(path, { ...surroundings(), environment })
    expect([written.stateDirectory, written.loginsDirectory]).toEqual(Array(2).fill(join(directory, 'state')))
  })

  test('may say everything', async () => {
    const config = await load(`${head}
listen:
  kubernetes: { address: '[::1]:0', tls: { certificate: tls.crt, key: ${directory}/tls.key }, publicURL: 'https://a:8443' }
  portal: { address: 'localhost:0', tls: { certificate: tls.crt, key: tls.key }, publicURL: 'https://a:8444' }
  ops: { address: ':0' }
identity:
  issuers:
  - issuer:
      url: https://sso.example.com/realms/main
      discoveryURL: https://sso.internal/realms/main/.well-known/openid-configuration
      audiences: [postern, kubernetes]
      audienceMatchPolicy: MatchAny
      certificateAuthority: |
${authority.certificate.replace(/^/gm, '        ')}
      signingAlgorithms: [ES256]
    client: { id: postern, scopes: [openid] }
    claimMappings:
      username: { claim: sub, prefix: 'main:' }
      groups: { claim: roles, prefix: '' }
      uid: { claim: sub }
      extra: [ { key: example.com/team, claim: team } ]
    claimValidationRules: [ { claim: hd, requiredValue: example.com } ]
  - issuer: { url: 'https://other.example.com', audiences: [cli] }
    client: { id: cli }
    claimMappings: { username: { claim: sub, prefix: 'other:' } }
sockets:
- name: in-here
  hosts: [kube.example.com]
  upstream: { inCluster: {} }
  forwardAs: subject
  recording: { sessions: off }
- name: by-token-file
  upstream: { server: { url: 'https://10.0.0.1:6443', certificateAuthority: ca.crt, tlsServerName: kubernetes, credential: { token: { file: token } } } }
- name: by-token
  upstream: { server: { url: 'https://10.0.0.1/k8s', certificateAuthority: ca.crt, credential: { token: { env: TOKEN } } } }
- name: by-certificate
  upstream:
    server:
      url: https://10.0.0.1
      certificateAuthority: ca.crt
      credential: { clientCertificate: { certificate: client.crt, key: client.key } }
defaultSocket: in-here
policies: [policies/a.yaml, '${directory}/pol*/?.yaml']
audit: { trail: { stdout: {} }, requestReceived: true }
limits: { drainTimeout: 1h30m, maxHeaderSize: 8KiB, maxConnections: 5 }
`)
    expect(config.identity.issuers[0]).toMatchObject({
      certificateAuthority: expect.stringContaining('BEGIN CERTIFICATE') as unknown,
      claimMappings: { uid: { claim: 'sub' }, extra: [{ key: 'example.com/team', claim: 'team' }] },
    })
    const ca = { file: join(directory, 'ca.crt') }
    expect(config.sockets.map(({ upstream }) => upstream)).toMatchObject([
      { kind: 'inCluster' },
      {
        kind: 'server',
        url: { value: 'https://10.0.0.1:6443' },
        certificateAuthority: ca,
        tlsServerName: { value: 'kubernetes' },
        credential: { kind: 'tokenFile', file: join(directory, 'token') },
      },
      { kind: 'server', url: { value: 'https://10.0.0.1/k8s' }, credential: { kind: 'token' } },
      {
        kind: 'server',
        credential: {
          kind: 'clientCertificate',
          certificate: { file: join(directory, 'client.crt') },
          key: { file: join(directory, 'client.key') },
        },
      },
    ])
    expect(config.defaultSocket).toBe('in-here')
    expect(config.policies.map(({ directory: at, glob }) => [at, glob])).toEqual([
      [join(directory, 'policies'), 'a.yaml'],
      [directory, 'pol*/?.yaml'],
    ])
    expect(config.limits).toMatchObject({ drainTimeoutMs: 5_400_000, maxHeaderBytes: 8_192, maxConnections: 5 })
  })

  test('may have a client certificate in files or in the environment', async () => {
    const text = minimal.replace(
      '{ kubeconfig: { path: ~/.kube/config } }',
      `{ server: { url: 'https://a', certificateAuthority: ca.crt, credential: { clientCertificate: { certificate: { file: client.crt }, key: { env: CLIENT_KEY } } } } }`,
    )
    const path = write('connector.yaml', text)
    const environment = { CLIENT_KEY: client.key }
    const config = await loadConnectorConfig(path, { ...surroundings(), environment })
    expect(config.sockets[0]?.upstream).toMatchObject({
      credential: {
        certificate: { file: join(directory, 'client.crt') },
        key: { value: expect.anything() as unknown },
      },
    })
    expect(inspect(config, { depth: null })).not.toContain('PRIVATE KEY')
    const wrong = loadConnectorConfig(path, { ...surroundings(), environment: { CLIENT_KEY: other.key } })
    await expect(wrong).rejects.toThrow(/clientCertificate: the key of the certificate belongs to another one/)
    await expect(loadConnectorConfig(path, surroundings())).rejects.toThrow(/key\.env: CLIENT_KEY is not set/)
  })

  test('may have address, verified name and authority of an API server in files or in the environment', async () => {
    write('address', 'https://10.0.0.1:6443\n')
    const inFiles = minimal.replace(
      '{ kubeconfig: { path: ~/.kube/config } }',
      '{ server: { url: { file: address }, tlsServerName: { file: token }, certificateAuthority: { file: ca.crt }, credential: { token: { file: token } } } }',
    )
    expect((await load(inFiles)).sockets[0]?.upstream).toMatchObject({
      url: { file: join(directory, 'address') },
      tlsServerName: { file: join(directory, 'token') },
      certificateAuthority: { file: join(directory, 'ca.crt') },
    })
    const inEnvironment = inFiles
      .replace('url: { file: address }', 'url: { env: ADDRESS }')
      .replace('tlsServerName: { file: token }', 'tlsServerName: { env: NAME }')
      .replace('{ file: ca.crt }', '{ env: CA }')
    const path = write('connector.yaml', inEnvironment)
    const environment = { ADDRESS: 'https://a', NAME: 'kubernetes', CA: authority.certificate }
    const config = await loadConnectorConfig(path, { ...surroundings(), environment })
    expect(config.sockets[0]?.upstream).toMatchObject({
      url: { value: 'https://a' },
      tlsServerName: { value: 'kubernetes' },
      certificateAuthority: { value: authority.certificate.trim() },
    })
    const wrong = { ...environment, ADDRESS: 'http://a', NAME: 'No Name' }
    const refused = loadConnectorConfig(path, { ...surroundings(), environment: wrong })
    await expect(refused).rejects.toThrow(
      /url: the server is not an https:\/\/ URL.*\n.*tlsServerName: holds something else/,
    )
  })

  test('is frozen all the way down', async () => {
    const config = await load(minimal)
    const visit = (value: unknown): void => {
      if (typeof value !== 'object' || value === null) return
      if (Object.getPrototypeOf(value) === Object.prototype || Array.isArray(value))
        expect(Object.isFrozen(value)).toBe(true)
      Object.values(value).forEach(visit)
    }
    visit(config)
  })

  test('prints no secret', async () => {
    const token =
      "{ server: { url: 'https://a', certificateAuthority: ca.crt, credential: { token: { env: TOKEN } } } }"
    const config = await load(minimal.replace('{ kubeconfig: { path: ~/.kube/config } }', token))
    const printed = inspect(config, { depth: null, showHidden: true }) + JSON.stringify(config)
    expect(printed).toContain('[redacted]')
    expect(printed).not.toContain('hunter')
    expect(printed).not.toContain('PRIVATE KEY')
  })
})
