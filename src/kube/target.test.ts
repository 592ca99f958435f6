import { describe, expect, test } from 'vitest'
import { cpuStopwatch } from '../../test/support/cpu-stopwatch.ts'
import { MAX_QUERY_PAIRS } from './query.ts'
import { StatusError } from './status.ts'
import { MAX_SEGMENTS, MAX_TARGET_BYTES, parseTarget } from './target.ts'

describe('a target with two readings is refused', () => {
  test.each([
    ['absolute-form', 'http://evil.example/api/v1/pods', 'does not begin with a slash'],
    ['asterisk-form', '*', 'does not begin with a slash'],
    ['authority-form', 'evil.example:443', 'does not begin with a slash'],
    ['nothing at all', '', 'does not begin with a slash'],
    ['a network path', '//evil.example/api', 'empty segment'],
    ['a fragment', '/public#/../secret', '"#" unescaped'],
    ['a fragment in the query', '/public?a=b#c', '"#" unescaped'],
    ['a dot segment', '/api/./v1', 'dot segment'],
    ['a double dot segment', '/api/v1/namespaces/mine/pods/../../other/secrets', 'dot segment'],
    ['a double dot at the end', '/api/..', 'dot segment'],
    ['a double dot before a trailing slash', '/api/../', 'dot segment'],
    ['escaped dots', '/api/%2e%2E/v1', '"%2e"'],
    ['half escaped dots', '/api/.%2e/v1', '"%2e"'],
    ['dots with a matrix parameter', '/api/..;/v1', '";" unescaped'],
    ['a matrix parameter', '/api/v1/pods;x=1', '";" unescaped'],
    ['an escaped semicolon', '/api/v1/..%3Bx', '"%3B"'],
    ['an escaped slash', '/api/v1/namespaces%2Fx', '"%2F"'],
    ['an escaped slash in lower case', '/api/v1/namespaces%2fx', '"%2f"'],
    ['an escaped percent sign', '/api/v1/a%252Fb', '"%25"'],
    ['an escaped question mark', '/api/v1/pods%3Fwatch=1', '"%3F"'],
    ['an escaped backslash', '/api/v1/a%5cb', '"%5c"'],
    ['a backslash', '/api\\v1', '"\\\\" unescaped'],
    ['an escaped NUL', '/api/v1/pods/a%00', '"%00"'],
    ['an escaped line feed', '/api/v1/pods/a%0Ab', '"%0A"'],
    ['an escaped control character', '/api/v1/pods/a%1f', '"%1f"'],
    ['an escaped DEL', '/api/v1/pods/a%7F', '"%7F"'],
    ['an escaped letter', '/%61pi/v1/pods', '"%61"'],
    ['an escaped capital', '/api/v1/%50ods', '"%50"'],
    ['an escaped digit', '/api/v%31/pods', '"%31"'],
    ['an escaped hyphen', '/api/v1/web%2D0', '"%2D"'],
    ['an escaped tilde', '/api/v1/web%7E', '"%7E"'],
    ['an escaped underscore', '/api/v1/web%5F', '"%5F"'],
    ['an empty segment', '/api//v1', 'empty segment'],
    ['two trailing slashes', '/api/v1//', 'empty segment'],
    ['only slashes', '//', 'empty segment'],
    ['a lone percent sign', '/api/%', 'malformed escape'],
    ['half an escape', '/api/%4', 'malformed escape'],
    ['an escape that is none', '/api/%zz', 'malformed escape'],
    ['a byte that is not UTF-8', '/api/%FF', 'malformed escape'],
    ['an overlong slash', '/api/%C0%AF', 'malformed escape'],
    ['a surrogate', '/api/%ED%A0%80', 'malformed escape'],
    ['half a character', '/api/%C3', 'malformed escape'],
    ['a space', '/api/v1/a b', '" " unescaped'],
    ['a tab', '/api/v1/a\tb', '"\\t" unescaped'],
    ['a line break', '/api/v1\r\nHost: evil', '"\\r" unescaped'],
    ['raw UTF-8', '/api/v1/é', 'unescaped'],
    ['raw UTF-8 as latin1', '/api/v1/Ã©', 'unescaped'],
  ])('%s', (_name, raw, why) => {
    expect(() => parseTarget(raw)).toThrow(StatusError)
    expect(() => parseTarget(raw)).toThrow(why)
  })
})

describe('a target within bounds', () => {
  test.each([
    ['length', `/${'a'.repeat(MAX_TARGET_BYTES - 1)}`, `/${'a'.repeat(MAX_TARGET_BYTES)}`, 'longer than'],
    ['segments', '/a'.repeat(MAX_SEGMENTS), '/a'.repeat(MAX_SEGMENTS + 1), 'more than 128 segments'],
    [
      'segments and a slash',
      `${'/a'.repeat(MAX_SEGMENTS)}/`,
      `${'/a'.repeat(MAX_SEGMENTS + 1)}/`,
      'more than 128 segments',
    ],
    ['parameters', `/?a${'&a'.repeat(MAX_QUERY_PAIRS - 1)}`, `/?a${'&a'.repeat(MAX_QUERY_PAIRS)}`, 'more than 2048'],
    ['empty pairs', `/?${'&'.repeat(MAX_QUERY_PAIRS - 1)}`, `/?${'&'.repeat(MAX_QUERY_PAIRS)}`, 'more than 2048'],
  ])('has a bound on its %s', (_name, longest, tooLong, why) => {
    expect(() => parseTarget(longest)).not.toThrow()
    expect(() => parseTarget(tooLong)).toThrow(why)
  })

  test.each([
    ['escapes that are malformed at the end', `/${'%41'.repeat(10_000)}%`],
    ['slashes', '/'.repeat(MAX_TARGET_BYTES)],
    ['equals signs', `/?${'='.repeat(MAX_TARGET_BYTES - 2)}`],
    ['pluses', `/?a=${'+'.repeat(MAX_TARGET_BYTES - 4)}`],
    ['repeated dry runs', `/?${'dryRun=All&'.repeat(2_000)}`],
    ['escaped characters', `/?${'%C3%A9'.repeat(5_000)}`],
  ])('costs little when it is full of %s', (_name, raw) => {
    const spentMs = cpuStopwatch()
    try {
      parseTarget(raw)
    } catch (error) {
      expect(error).toBeInstanceOf(StatusError)
    }
    expect(spentMs()).toBeLessThan(300)
  })
})

describe('a target with one reading', () => {
  test.each([
    ['/', [], false, '/', '/'],
    ['/version', ['version'], false, '/version', '/version'],
    ['/version/', ['version'], true, '/version/', '/version'],
    ['/a/...', ['a', '...'], false, '/a/...', '/a/...'],
    ['/a/b%20c', ['a', 'b c'], false, '/a/b c', '/a/b%20c'],
    ['/a/http%3Aweb%3a80', ['a', 'http:web:80'], false, '/a/http:web:80', '/a/http:web:80'],
    ['/a/me%40example.com/', ['a', 'me@example.com'], true, '/a/me@example.com/', '/a/me@example.com'],
    ['/a/caf%c3%a9', ['a', 'café'], false, '/a/café', '/a/caf%C3%A9'],
    ['/a/1+1', ['a', '1+1'], false, '/a/1+1', '/a/1%2B1'],
    ["/a/!$&'()*,=:@-._~", ['a', "!$&'()*,=:@-._~"], false, "/a/!$&'()*,=:@-._~", "/a/!$&'()*,=:@-._~"],
    ['/a/"<>^`{|}[]', ['a', '"<>^`{|}[]'], false, '/a/"<>^`{|}[]', '/a/%22%3C%3E%5E%60%7B%7C%7D%5B%5D'],
    ['/a/%23%26', ['a', '#&'], false, '/a/#&', '/a/%23&'],
    ['/__proto__/constructor', ['__proto__', 'constructor'], false, '/__proto__/constructor', '/__proto__/constructor'],
  ])('%s', (raw, segments, hasTrailingSlash, path, canonicalPath) => {
    expect(parseTarget(raw)).toStrictEqual({
      raw,
      path,
      segments,
      hasTrailingSlash,
      query: [],
      canonicalPath,
      canonicalQuery: '',
    })
  })

  test('is split at the first question mark', () => {
    expect(parseTarget('/a?b=c?d/e')).toMatchObject({
      path: '/a',
      query: [{ name: 'b', value: 'c?d/e' }],
      canonicalQuery: '?b=c%3Fd%2Fe',
    })
  })

  test('loses a question mark with nothing behind it', () => {
    expect(parseTarget('/a?').canonicalQuery).toBe('')
  })
})

test('a refusal repeats no more of a hostile target than fits on a line', () => {
  expect(() => parseTarget(`/${'\u001b[31m'.repeat(5_000)}`)).toThrow(/^the path "\/\\x1b\[31m.{0,400}$/)
})
