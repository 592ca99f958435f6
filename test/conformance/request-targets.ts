import fc from 'fast-check'

/** Methods as they come: mostly those of clients, some that no client has. */
export const methods = fc.constantFrom(
  'GET',
  'GET',
  'GET',
  'HEAD',
  'POST',
  'PUT',
  'PATCH',
  'DELETE',
  'OPTIONS',
  'TRACE',
)

const words = fc.constantFrom(
  ...['api', 'apis', 'v1', 'apps', 'namespaces', 'pods', 'secrets', 'status', 'finalize', 'watch', 'proxy', 'exec'],
  ...['log', 'nodes', 'services', 'default', 'web-0', 'http:web:80', 'API', 'Pods', 'version', 'openapi', 'token'],
)
const oddities = fc.constantFrom(
  ...['', '.', '..', '%2e%2e', '%2F', '%5C', '%25', '%00', '%61pi', '%20', '%3A', '%40', '%C3%A9', '%F0%9F%98%80'],
  ...['%FF', '%C0%AF', '%', '%zz', 'a+b', 'a;b', '%3B', 'a=b', "!$'()*", '"<>', '[x]', '\\', '#', '~', '%23', '%3F'],
)
const segments = fc.oneof({ weight: 20, arbitrary: words }, { weight: 1, arbitrary: oddities })

const paths = fc
  .tuple(
    fc.constantFrom([], ['api', 'v1'], ['api', 'v1'], ['apis', 'apps', 'v1'], ['api', 'v1', 'watch']),
    fc.array(segments, { maxLength: 6 }),
    fc.constantFrom('', '', '', '', '/', '//'),
  )
  .map(([prefix, rest, slash]) => `/${[...prefix, ...rest].join('/')}${slash}`)

const flags = fc.constantFrom('', '0', '1', 'true', 'false', 'FALSE', 'no', '00', ' false', 'fal\u017fe')
const numbers = fc.constantFrom('', '0', '500', '-1', '+5', 'abc', '0x10', '9223372036854775807', '9223372036854775808')
const fieldTerms = fc.constantFrom(
  ...['metadata.name=a', 'metadata.name=b', 'metadata.name==c', 'metadata.name!=d', 'metadata.name=', 'metadata.name'],
  ...[
    'metadata.name=.',
    'metadata.name=a/b',
    'metadata.name=a%b',
    'metadata.name=a\\,b',
    'metadata.name=a\\b',
    '=',
    '',
  ],
  ...['metadata.name=\u{1f600}', 'metadata.name=\ue000', 'spec.nodeName=n', 'metadata.name===a', 'x\\,y=z', '!=', 'a'],
)
const labelTerms = fc.constantFrom(
  ...['a', '!a', 'a=b', 'a==b', 'a!=b', 'a in (b,c)', 'a notin ()', 'a in (,b', 'a in (b c)', 'a>1', 'a<b', 'a=', '=a'],
  ...[
    'in in (in)',
    'a.b/c=d',
    'A/b',
    'a/b/c',
    '-a',
    ' a = b ',
    'a b',
    '(',
    'é',
    'a in b',
    '!a=b',
    '!!a',
    `a=${'x'.repeat(64)}`,
  ],
)
const texts = fc.array(fc.nat(0xd7ff), { maxLength: 6 }).map((units) => String.fromCharCode(...units))
const selectors = (terms: fc.Arbitrary<string>): fc.Arbitrary<string> =>
  fc.array(terms, { minLength: 1, maxLength: 3 }).map((list) => list.join(','))

const parameters = fc
  .oneof(
    fc.tuple(fc.constantFrom('watch', 'Watch', 'allowWatchBookmarks'), flags),
    fc.tuple(fc.constantFrom('limit', 'timeoutSeconds'), numbers),
    fc.tuple(fc.constant('fieldSelector'), selectors(fieldTerms)),
    fc.tuple(fc.constant('labelSelector'), selectors(labelTerms)),
    fc.tuple(fc.constantFrom('command', 'exclude', 'pretty', '__proto__'), texts),
  )
  .map(([name, value]) => `${name}=${encodeURIComponent(value)}`)
const queries = fc.array(
  fc.oneof(
    { weight: 20, arbitrary: parameters },
    { weight: 1, arbitrary: fc.constantFrom('', 'watch', '%zz', 'a;b', '=') },
  ),
  { maxLength: 5 },
)

/** Raw targets near those of the API, a good half of which have one reading. */
export const targets = fc
  .tuple(paths, fc.option(queries, { nil: undefined }))
  .map(([path, query]) => (query === undefined ? path : `${path}?${query.join('&')}`))
