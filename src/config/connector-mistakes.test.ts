import { chmodSync, readFileSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { minimal, stageConnectorDirectory } from '../../test/support/connector-directory.ts'
import { type Mistake, renderMistake } from '../document/document.ts'
import { inspectConnectorConfig, loadConnectorConfig } from './load-connector-config.ts'

const { directory, home, leaf, write, surroundings, mistakesIn, mistakesWith } = stageConnectorDirectory()

describe('mistakes', () => {
  test('of every kind are told at once, with their lines', async () => {
    const text = `apiVersion: postern.dev/v1alpha1
kind: Connector
listen:
  kubernetes:
    adress: 0.0.0.0:8443
    tls: { certificate: nowhere.crt, key: tls.key }
    publicURL: https://kube.example.com
  portal:
    tls: { certificate: tls.crt, key: other.key }
    publicURL: https://postern.example.com
identity:
  issuers:
  - issuer: { url: 'http://sso.example.com', audiences: [postern] }
    client: { id: postern }
    claimMappings: { username: { claim: email } }
sockets:
- name: production
  upstream: { cloud: { cluster: prod } }
  recording: { sessions: required }
- name: production
  upstream: { kubeconfig: { path: nowhere.kubeconfig } }
- name: staging
  upstream:
    server:
      url: https://10.0.0.1
      certificateAuthority: nowhere-ca.crt
      credential:
        token: { env: UNSET }
defaultSocket: produktion
policies: [nowhere/*.yaml]
audit: { trail: { directory: tls.crt } }
limits: { requestHeadTimeout: 30, drainTimeout: 48h, maxConnections: 0 }
`
    expect(await mistakesIn(text)).toEqual([
      'connector.yaml:5: listen.kubernetes.adress: unknown key, did you mean "address"?',
      'connector.yaml:6: listen.kubernetes.tls.certificate: cannot read nowhere.crt: no such file',
      'connector.yaml:9: listen.portal.tls: the key of the certificate belongs to another one',
      'connector.yaml:13: identity.issuers[0].issuer.url: is "http://sso.example.com", expected an https:// URL without user, query and fragment',
      'connector.yaml:15: identity.issuers[0].claimMappings.username.prefix: is missing, expected a string',
      'connector.yaml:18: sockets[0].upstream.cloud: unknown key, expected one of eks, inCluster, kubeconfig, server',
      'connector.yaml:19: sockets[0].recording.sessions: is "required", and no `recordings` says where they go',
      'connector.yaml:20: sockets[1].name: "production" is the name of sockets[0] already',
      'connector.yaml:21: sockets[1].upstream.kubeconfig: kubeconfig nowhere.kubeconfig: cannot read nowhere.kubeconfig: no such file',
      'connector.yaml:26: sockets[2].upstream.server.certificateAuthority: cannot read nowhere-ca.crt: no such file',
      'connector.yaml:28: sockets[2].upstream.server.credential.token.env: UNSET is not set, expected an environment variable with the secret',
      'connector.yaml:29: defaultSocket: there is no socket "produktion", did you mean "production"?',
      'connector.yaml:30: policies[0]: "nowhere/*.yaml" matches no file, expected at least one policy file',
      'connector.yaml:31: audit.trail.directory: is a file, expected a directory, or a name that is free',
      'connector.yaml:32: limits.requestHeadTimeout: is the number 30, expected a duration such as 30s, 8h or 1h30m',
      'connector.yaml:32: limits.drainTimeout: is 48h, expected at most 24h',
      'connector.yaml:32: limits.maxConnections: is the number 0, expected at least 1',
    ])
  })

  const kubernetesTls = "address: '127.0.0.1:8443', tls: { certificate: tls.crt, key: tls.key }"
  const upstream = '{ kubeconfig: { path: ~/.kube/config } }'
  const issuer = "issuer: { url: 'https://sso.example.com', audiences: [postern], certificateAuthority: ca.crt }"
  const server = (credential: string) =>
    `{ server: { url: 'https://a', certificateAuthority: ca.crt, credential: ${credential} } }`

  test.each<[name: string, from: string, to: string, mistakes: readonly string[]]>([
    [
      'no certificate in a list of them',
      '{ certificate: tls.crt, key: tls.key }',
      '[]',
      ['listen.kubernetes.tls: is an empty list, expected at least 1 entry'],
    ],
    [
      'a second certificate with the key of another',
      '{ certificate: tls.crt, key: tls.key }',
      '[{ certificate: tls.crt, key: tls.key }, { certificate: tls.crt, key: other.key }]',
      ['listen.kubernetes.tls[1]: the key of the certificate belongs to another one'],
    ],
    [
      'a second certificate without its key',
      '{ certificate: tls.crt, key: tls.key }',
      '[{ certificate: tls.crt, key: tls.key }, { certificate: tls.crt }]',
      ['listen.kubernetes.tls[1].key: is missing, expected a path'],
    ],
    [
      'an expired certificate',
      '{ certificate: tls.crt, key: tls.key }',
      '{ certificate: expired.crt, key: expired.key }',
      [expect.stringMatching(/^listen\.kubernetes\.tls: the certificate expired on \d{4}-/) as string],
    ],
    [
      'a key in place of the certificate',
      '{ certificate: tls.crt',
      '{ certificate: tls.key',
      ['listen.kubernetes.tls: the certificate holds no PEM certificate'],
    ],
    [
      'two listeners on one address',
      kubernetesTls,
      kubernetesTls.replace('127.0.0.1:8443', ':8444'),
      ['listen.portal.address: is the address of listen.kubernetes too'],
    ],
    [
      'one origin for two listeners',
      'https://Kube.example.com/',
      'https://postern.example.com:443',
      [expect.stringContaining('listen.portal.publicURL: is the origin of listen.kubernetes too') as string],
    ],
    [
      'a path in a public URL',
      'https://Kube.example.com/',
      'https://kube.example.com/k8s',
      [
        'listen.kubernetes.publicURL: is "https://kube.example.com/k8s", expected an https:// URL of a host and perhaps a port, nothing more',
      ],
    ],
    [
      'proxies that are no addresses, or everybody',
      "publicURL: 'https://Kube.example.com/' }",
      "publicURL: 'https://kube.example.com', trustedProxies: [10.0.0.0/8, proxy.example.com, 0.0.0.0/0, '::/0'] }",
      [
        expect.stringContaining('listen.kubernetes.trustedProxies[1]: is no address range') as string,
        expect.stringContaining('listen.kubernetes.trustedProxies[2]: is everybody') as string,
        expect.stringContaining('listen.kubernetes.trustedProxies[3]: is everybody') as string,
      ],
    ],
    [
      'a client whose tokens would not be accepted',
      'client: { id: postern }',
      'client: { id: cli }',
      ['identity.issuers[0].client.id: tokens for "cli" are not accepted, expected postern, as issuer.audiences says'],
    ],
    [
      'scopes without an ID token',
      'client: { id: postern }',
      'client: { id: postern, scopes: [email] }',
      ['identity.issuers[0].client.scopes: do not ask for an ID token, expected openid among them'],
    ],
    [
      'redirect URIs that no login can have',
      'client: { id: postern }',
      'client: { id: postern, redirectHost: example.com, redirectPath: callback, redirectPorts: [80] }',
      [
        expect.stringContaining('identity.issuers[0].client.redirectHost: ') as string,
        'identity.issuers[0].client.redirectPath: is "callback", expected a path such as /callback',
        expect.stringContaining('identity.issuers[0].client.redirectPorts[0]: ') as string,
      ],
    ],
    [
      'addresses of laptops for a client with a secret, which is too short',
      'client: { id: postern }',
      'client: { id: postern, secret: { file: token }, redirectHost: localhost, redirectPath: /callback, redirectPorts: [8000], authorizationParameters: { state: mine } }',
      [
        'identity.issuers[0].client.authorizationParameters.state: is "state", expected a parameter that OpenID Connect does not fill in itself, such as access_type',
        'identity.issuers[0].client.redirectHost: is for a client without a `secret`: with one, the issuer sends browsers to the portal, expected nothing here',
        'identity.issuers[0].client.redirectPath: is for a client without a `secret`: with one, the issuer sends browsers to the portal, expected nothing here',
        'identity.issuers[0].client.redirectPorts: is for a client without a `secret`: with one, the issuer sends browsers to the portal, expected nothing here',
        'identity.issuers[0].client.secret.file: holds fewer than 16 characters, which could be guessed, expected a secret that the issuer made',
      ],
    ],
    [
      'what a client without a secret has no use for',
      'client: { id: postern }',
      'client: { id: postern, tokenEndpointAuthMethod: client_secret_post, authorizationParameters: { access_type: offline } }',
      [
        'identity.issuers[0].client.tokenEndpointAuthMethod: is for a client with a `secret`, and this one has none, expected nothing here',
        'identity.issuers[0].client.authorizationParameters: is for a client with a `secret`, and this one has none, expected nothing here',
      ],
    ],
    [
      'a secret in place of its reference',
      'client: { id: postern }',
      'client: { id: postern, secret: GOCSPX-1234567890 }',
      ['identity.issuers[0].client.secret: is a string, expected an object with exactly file or env'],
    ],
    [
      'several audiences without saying so',
      'audiences: [postern]',
      'audiences: [postern, other]',
      [
        'identity.issuers[0].issuer.audienceMatchPolicy: is missing, expected "MatchAny", since there are several audiences',
      ],
    ],
    [
      'an audience twice',
      'audiences: [postern]',
      'audiences: [postern, postern], audienceMatchPolicy: MatchAny',
      ['identity.issuers[0].issuer.audiences[1]: "postern" stands here twice'],
    ],
    [
      'an e-mail as username that nobody verified',
      "username: { claim: email, prefix: '' }",
      "username: { expression: 'claims.email' }",
      [
        'identity.issuers[0].claimMappings.username.expression: reads claims.email, and nothing reads claims.email_verified, expected `claims.?email_verified.orValue(true) == true` somewhere',
      ],
    ],
    [
      'machines whose names could collide, or whose cluster is not there',
      'identity:',
      `identity:
  serviceAccounts:
  - { socket: production, audiences: [postern], prefix: 'sso:' }
  - { socket: producton, audiences: [postern], prefix: 'b:' }
  clientCertificates: { certificateAuthority: nowhere.crt, prefix: 'b:' }`,
      [
        'identity.serviceAccounts[1].socket: there is no socket "producton", expected production',
        'identity.serviceAccounts[1].audiences[0]: "postern" is an audience of serviceAccounts[0] already',
        'identity.clientCertificates.prefix: "b:" is the prefix of serviceAccounts[1] already',
        'identity.clientCertificates.certificateAuthority: cannot read nowhere.crt: no such file',
        'identity.issuers[0].claimMappings.groups.prefix: begins with "sso:", which identity.serviceAccounts[0] keeps for machines',
      ],
    ],
    [
      'HMAC',
      'audiences: [postern]',
      'audiences: [postern], signingAlgorithms: [HS256]',
      [
        expect.stringMatching(
          /^identity\.issuers\[0\]\.issuer\.signingAlgorithms\[0\]: is "HS256", did you mean "[RPE]S256"\?$/,
        ) as string,
      ],
    ],
    [
      'an authority that is none',
      issuer,
      issuer.replace('ca.crt', 'token'),
      ['identity.issuers[0].issuer.certificateAuthority: the certificate authority holds no PEM certificate'],
    ],
    [
      'a name that is no label',
      'name: production',
      'name: Production',
      [
        'sockets[0].name: is "Production", expected a DNS label: lower-case letters, digits and "-", at most 63 characters',
      ],
    ],
    [
      'a host twice',
      'name: production',
      'name: production\n  hosts: [a.sockets.example.com, a.sockets.example.com]',
      ['sockets[0].hosts[1]: "a.sockets.example.com" stands here twice'],
    ],
    [
      'a certificate for another host',
      '{ certificate: tls.crt, key: tls.key }',
      '{ certificate: other.crt, key: other.key }',
      [
        'listen.kubernetes.publicURL: no certificate is for kube.example.com, only for other.example.org, expected one for it in listen.kubernetes.tls',
      ],
    ],
    [
      'no certificate for a host of a socket, where a wildcard stands for one label',
      'name: production',
      'name: production\n  hosts: [a.sockets.example.com, a.b.sockets.example.com]',
      [
        'sockets[0].hosts[1]: no certificate is for a.b.sockets.example.com, only for kube.example.com, postern.example.com, a, *.sockets.example.com, expected one for it in listen.kubernetes.tls',
      ],
    ],
    [
      'an address that the first certificate is not for',
      'https://postern.example.com',
      'https://[2001:db8::1]',
      [
        'listen.portal.publicURL: the certificate that clients without a host name are shown is not for 2001:db8::1, expected one for it in listen.portal.tls',
      ],
    ],
    [
      'a host of a socket that is the way to all of them',
      'name: production',
      'name: other\n  upstream: { inCluster: {} }\n- name: production\n  hosts: [kube.example.com]',
      [
        'sockets[1].hosts[0]: "kube.example.com" is the host of listen.kubernetes, where /sockets/NAME has to lead to the others too, expected another host, or this socket as defaultSocket',
      ],
    ],
    [
      'a host of a socket where the portal answers',
      'name: production',
      'name: production\n  hosts: [postern.example.com]',
      [
        'sockets[0].hosts[0]: "postern.example.com" is the host of listen.portal, which answers there, expected another host',
      ],
    ],
    [
      'two upstreams',
      upstream,
      '{ kubeconfig: { path: ~/.kube/config }, inCluster: {} }',
      ['sockets[0].upstream: has kubeconfig and inCluster, expected exactly one of kubeconfig, inCluster, server, eks'],
    ],
    [
      'a context that does not exist',
      upstream,
      '{ kubeconfig: { path: ~/.kube/config, context: staging } }',
      ['sockets[0].upstream.kubeconfig: kubeconfig home/.kube/config: there is no context "staging"; there is "prod"'],
    ],
    [
      'a token file that is empty',
      upstream,
      server('{ token: { file: empty } }'),
      ['sockets[0].upstream.server.credential.token.file: is an empty file, expected a file with the secret'],
    ],
    [
      'a token in place of its file',
      upstream,
      server('{ token: { file: eyJhbGciOi } }'),
      ['sockets[0].upstream.server.credential.token.file: cannot read the file: no such file'],
    ],
    [
      'a token in place of its reference',
      upstream,
      server('{ token: eyJhbGciOi }'),
      ['sockets[0].upstream.server.credential.token: is a string, expected an object with exactly file or env'],
    ],
    [
      'an environment variable that is empty',
      upstream,
      server('{ token: { env: EMPTY } }'),
      [
        'sockets[0].upstream.server.credential.token.env: EMPTY is not set, expected an environment variable with the secret',
      ],
    ],
    [
      'the key of another client certificate',
      upstream,
      server('{ clientCertificate: { certificate: client.crt, key: other.key } }'),
      ['sockets[0].upstream.server.credential.clientCertificate: the key of the certificate belongs to another one'],
    ],
    [
      'an address of an API server that cannot be used',
      upstream,
      server('{ token: { file: token } }').replace('https://a', 'https://a/b%2fc'),
      ['sockets[0].upstream.server.url: the path in the URL of the server is not plain'],
    ],
    [
      'values that stand elsewhere and are not there, or something else',
      upstream,
      '{ server: { url: { file: empty }, tlsServerName: { env: TOKEN_NAME }, certificateAuthority: { env: TOKEN }, credential: { token: { file: token } } } }',
      [
        'sockets[0].upstream.server.url.file: is an empty file',
        'sockets[0].upstream.server.tlsServerName.env: TOKEN_NAME is not set, expected an environment variable with it',
        'sockets[0].upstream.server.certificateAuthority: the certificate authority holds no PEM certificate',
      ],
    ],
    [
      'no place at all for a value that stands elsewhere',
      upstream,
      '{ server: { url: { path: x }, certificateAuthority: {}, credential: { token: { file: token } } } }',
      [
        expect.stringMatching(
          /^sockets\[0\]\.upstream\.server\.url\.path: unknown key, expected env or file$/,
        ) as string,
        expect.stringMatching(/^sockets\[0\]\.upstream\.server\.certificateAuthority: is an empty object/) as string,
      ],
    ],
    ['no policies', "['policies/*.yaml']", '[]', ['policies: is an empty list, expected at least 1 entry']],
    [
      'no source of policies',
      "policies: ['policies/*.yaml']",
      '',
      ['policies: is missing, expected policy files, or policyObjects'],
    ],
    ['policies that are no list', "['policies/*.yaml']", '5', ['policies: is the number 5, expected a list']],
    [
      'objects of a socket that does not exist',
      "policies: ['policies/*.yaml']",
      'policyObjects: { socket: elsewhere }',
      ['policyObjects.socket: there is no socket "elsewhere", expected production'],
    ],
    ['no audit', 'audit: { trail: { directory: trail } }', '', ['audit: is missing, expected an object']],
    ['another kind of document', 'kind: Connector', 'kind: Policy', ['kind: is "Policy", expected "Connector"']],
  ])('%s', async (_, from, to, mistakes) => {
    expect(await mistakesWith(from, to)).toEqual(mistakes)
  })

  test('a document that cannot be read is one', async () => {
    const path = join(directory, 'none.yaml')
    await expect(loadConnectorConfig(path, surroundings())).rejects.toThrow(`${path}:1: cannot be read: no such file`)
  })

  test('the policies are known although something else is wrong', async () => {
    const { config, policies } = await inspectConnectorConfig(
      write('connector.yaml', `${minimal}zzz: 1`),
      surroundings(),
    )
    expect(config).toBeNull()
    expect(policies).toEqual([{ directory: join(directory, 'policies'), glob: '*.yaml' }])
  })
})

test('whatever the document holds, nothing but a DocumentError is thrown', async () => {
  const scalar = fc.constantFrom(
    'x',
    '1',
    '[]',
    '{}',
    '~',
    '[x]',
    '{ x: 1 }',
    "''",
    '~/x',
    '/',
    '*',
    '**',
    "'[*'",
    "'{a,b'",
  )
  const words = [...new Set(minimal.match(/[a-zA-Z0-9'./~*:]+/g) ?? [])].filter((word) => !word.endsWith(':'))
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.tuple(fc.constantFrom(...words), scalar), { minLength: 1, maxLength: 4 }),
      async (edits) => {
        let text = minimal
        for (const [word, put] of edits) text = text.replace(word, put)
        for (const line of await mistakesIn(text)) expect(line).toMatch(/^connector\.yaml:\d+: ./)
      },
    ),
    { numRuns: 50 },
  )
})

test.skipIf(process.getuid?.() === 0)('a key of somebody else is named', async () => {
  const path = write('closed.key', leaf.key)
  chmodSync(path, 0)
  expect(await mistakesWith('key: tls.key', 'key: closed.key')).toEqual([
    'listen.kubernetes.tls.key: cannot read closed.key: permission denied',
  ])
})

describe('what has expired of an upstream', () => {
  const inspectUpstream = (upstream: string) =>
    inspectConnectorConfig(
      write('connector.yaml', minimal.replace('{ kubeconfig: { path: ~/.kube/config } }', upstream)),
      surroundings(),
    )
  const told = (warnings: readonly Mistake[]) =>
    warnings.map((warning) => renderMistake(warning).replace(/^.*connector\.yaml:\d+: /, ''))

  test.each([
    [
      'server: its client certificate',
      "{ server: { url: 'https://a', certificateAuthority: ca.crt, credential: { clientCertificate: { certificate: late.crt, key: late.key } } } }",
      /^sockets\[0\]\.upstream\.server\.credential\.clientCertificate: the certificate expired on \d{4}-/,
    ],
    [
      'server: its authority',
      "{ server: { url: 'https://a', certificateAuthority: expired.crt, credential: { token: { file: token } } } }",
      /^sockets\[0\]\.upstream\.server\.certificateAuthority: the certificate authority expired on \d{4}-/,
    ],
    [
      'kubeconfig',
      '{ kubeconfig: { path: late.kubeconfig } }',
      /^sockets\[0\]\.upstream\.kubeconfig: the client certificate .*late\.crt expired on \d{4}-/,
    ],
  ])('is told, and no mistake: %s', async (_where, upstream, warning) => {
    const user = '{ client-certificate: late.crt, client-key: late.key }'
    write('late.kubeconfig', readFileSync(join(home, '.kube/config'), 'utf8').replace('{ token: hunter3 }', user))
    const { mistakes, warnings, config } = await inspectUpstream(upstream)
    expect(mistakes).toEqual([])
    expect(config).not.toBeNull()
    expect(told(warnings)).toEqual([expect.stringMatching(warning)])
  })

  test('is no warning but a mistake when it is malformed as well', async () => {
    const { mistakes, warnings } = await inspectUpstream(
      "{ server: { url: 'https://a', certificateAuthority: ca.crt, credential: { clientCertificate: { certificate: late.crt, key: client.key } } } }",
    )
    expect(told(mistakes)).toEqual([expect.stringContaining('belongs to another one')])
    expect(warnings).toEqual([])
  })
})

describe('what whoever runs the connector does not see', () => {
  test('is a mistake, each file with its path, links too', async () => {
    const hidden = join(directory, 'hidden')
    for (const name of ['key', 'token', 'p.yaml', 'ca.crt']) write(`hidden/${name}`, 'x')
    write('hidden/key', leaf.key)
    write('hidden/ca.crt', readFileSync(join(directory, 'ca.crt'), 'utf8'))
    symlinkSync(join(hidden, 'key'), join(directory, 'linked.key'))
    const cluster = "{ server: 'https://10.0.0.1:6443', certificate-authority: hidden/ca.crt }"
    write(
      'half-hidden',
      `
current-context: prod
contexts: [ { name: prod, context: { cluster: c, user: u } } ]
clusters: [ { name: c, cluster: ${cluster} } ]
users: [ { name: u, user: { tokenFile: hidden/token } } ]
`,
    )
    const text = minimal
      .replace('key: tls.key', 'key: linked.key')
      .replace('~/.kube/config', 'half-hidden')
      .replace("'policies/*.yaml'", "'hidden/p.yaml'")
      .replace('directory: trail', 'directory: hidden/trail')
    const { mistakes } = await inspectConnectorConfig(write('connector.yaml', text), {
      ...surroundings(),
      whyHidden: (path) => (path.startsWith(`${hidden}/`) ? 'hidden' : ''),
    })
    expect(mistakes.map(({ path, problem }) => [path, problem.replace(`${directory}/`, '')])).toEqual(
      expect.arrayContaining([
        ['listen.kubernetes.tls.key', 'linked.key is hidden'],
        ['sockets[0].upstream.kubeconfig', 'hidden/ca.crt is hidden'],
        ['sockets[0].upstream.kubeconfig', 'hidden/token is hidden'],
        ['policies[0]', 'hidden/p.yaml is hidden'],
        ['audit.trail.directory', 'hidden/trail is hidden'],
      ]),
    )
    expect(mistakes).toHaveLength(5)
  })
})
