/** One text of a source file, which stands there exactly once, and what takes its place. */
interface Edit {
  readonly file: string
  readonly text: string
  readonly becomes: string
}

/** One way to break the gateway on purpose. */
export interface Mutation {
  readonly name: string
  /** Files of tests, each of which has to notice. */
  readonly noticedBy: readonly string[]
  readonly edits: readonly Edit[]
}

const VECTORS = 'test/conformance/request-info.test.ts'
const ROLLING_RESTART = 'test/integration/rolling-restart.test.ts'
const ROTATION = 'test/integration/rotation.test.ts'
const LIFECYCLE = 'test/integration/gateway-lifecycle.test.ts'
const LISTENER = 'src/gateway/kubernetes-listener.ts'

export const MUTATIONS: readonly Mutation[] = [
  mutation(
    'the allow-list of headers lets every header through',
    [attack('front-proxy-headers'), attack('credential-echo'), attack('cookies')],
    {
      file: 'src/kube/request-headers.ts',
      text: 'const sentAs = SENT_ON.get(name)',
      becomes: 'const sentAs: string | undefined = name',
    },
  ),
  mutation('headers that Connection names are sent on', [attack('connection-named-headers')], {
    file: 'src/kube/request-headers.ts',
    text: ' || hopByHop.includes(name)) continue',
    becomes: ') continue',
  }),
  mutation('the path prefix `watch` is taken for a resource', [VECTORS, attack('prefix-verbs')], {
    file: 'src/kube/request-info.ts',
    text: 'const hasWatchPrefix = checkPrefixVerb(method, segments, versionAt + 1)',
    becomes: 'const hasWatchPrefix = false',
  }),
  mutation('`namespaces/NAME/status` is a resource `status`', [VECTORS, attack('wrong-scope')], {
    file: 'src/kube/request-info.ts',
    text: "inside !== undefined && inside !== 'status' && inside !== 'finalize'",
    becomes: 'inside !== undefined',
  }),
  mutation('a trailing slash is a segment', [VECTORS, attack('empty-segments')], {
    file: 'src/kube/target.ts',
    text: "if (segments.at(-1) === '') segments.pop()",
    becomes: '',
  }),
  mutation('a field selector gives no name', [VECTORS, attack('resource-names')], {
    file: 'src/kube/request-info.ts',
    text: ', name: selectedName(query) }',
    becomes: ', name }',
  }),
  mutation('a field selector gives a name beside options that do not parse', [VECTORS, attack('broken-selector')], {
    file: 'src/kube/request-info.ts',
    text: "return hasValidListOptions(query) ? name : ''",
    becomes: 'return name',
  }),
  mutation('OPTIONS on a resource is a get', [VECTORS, attack('method-confusion')], {
    file: 'src/kube/request-info.ts',
    text: "['OPTIONS', { resource: '',",
    becomes: "['OPTIONS', { resource: 'get',",
  }),
  mutation('a delete without a name is no deletecollection', [VECTORS, attack('broken-selector')], {
    file: 'src/kube/request-info.ts',
    text: "if (verb === 'delete') return { verb: 'deletecollection', name }",
    becomes: '',
  }),
  mutation('exec by GET is decided on as a get', [attack('exec-by-another-name')], {
    file: 'src/kube/session-kind.ts',
    text: "return { ...info, verb: 'create' }",
    becomes: 'return info',
  }),
  mutation('an escaped slash is accepted in a path', [VECTORS, attack('encoded-slash')], {
    file: 'src/kube/target.ts',
    text: '|2[5DEF]|',
    becomes: '|2[5DE]|',
  }),
  mutation('dot segments are accepted', [VECTORS, attack('dot-segments')], {
    file: 'src/kube/target.ts',
    text: "if (segment === '.' || segment === '..')",
    becomes: 'if (false)',
  }),
  mutation('a repeated parameter is accepted', [VECTORS, attack('repeated-parameters')], {
    file: 'src/kube/query.ts',
    text: 'if ((seen & bit) !== 0 && !isDryRunAgain)',
    becomes: 'if (false)',
  }),
  mutation('a rule that denies is ignored', ['src/policy/policy-authorizer.test.ts', attack('secrets-by-list')], {
    file: 'src/policy/casbin-model.ts',
    text: 'e = some(where (p.eft == allow)) && !some(where (p.eft == deny))',
    becomes: 'e = some(where (p.eft == allow))',
  }),
  mutation('no opinion allows', [attack('failing-closed'), attack('wildcards-and-nothing')], {
    file: 'src/gateway/admission.ts',
    text: "if (decision.effect === 'allow') return decision",
    becomes: "if (decision.effect !== 'deny') return { ...decision, effect: 'allow' }",
  }),
  mutation('an authorizer that throws allows', [attack('failing-closed')], {
    file: 'src/gateway/admission.ts',
    text: 'const decision = authorizer.authorize({ ...attributesOf(authenticated, receivedAtMs), requestInfo: info })',
    becomes: `let decision: Decision
  try {
    decision = authorizer.authorize({ ...attributesOf(authenticated, receivedAtMs), requestInfo: info })
  } catch {
    decision = { effect: 'allow', rule: '', location: '', policyRevision: '', reason: '', nearest: [], obligations: {} }
  }`,
  }),
  mutation('the API group of a rule is not compared', [attack('same-plural-in-another-group')], {
    file: 'src/policy/casbin-model.ts',
    text: "rule.apiGroups?.includes('*') === true ? ANY : oneOf(rule.apiGroups, literal)",
    becomes: 'ANY',
  }),
  mutation('`*` includes exec and its like', [attack('exec-by-another-name')], {
    file: 'src/policy/request-terms.ts',
    text: "${named ? '//' : '/'}",
    becomes: '/',
  }),
  mutation('a decision for one subject is kept for all', [attack('shared-answers')], {
    file: 'src/policy/decision-cache.ts',
    text: 'const key = `${idOf(attributes.subject)} ${',
    becomes: 'const key = `${',
  }),
  mutation('nobody asks whether an identity may be assumed', [attack('impersonation-headers')], {
    file: 'src/gateway/admission.ts',
    text: 'for (const check of assumed.checks) requireAllowed(authenticated, check, authorizer)',
    becomes: '',
  }),
  mutation('nobody asks for `create`, `escalate` and `bind` beside the verb', [attack('power-by-writes')], {
    file: 'src/gateway/admission.ts',
    text: 'for (const check of additionalChecks(infoToAuthorize, headers, socket.forwardAs)) {',
    becomes: 'for (const check of additionalChecks(infoToAuthorize, headers, socket.forwardAs).slice(1e9)) {',
  }),
  mutation('requests go on while the audit trail cannot be written', [attack('failing-closed')], {
    file: 'src/gateway/gateway.ts',
    text: 'if (!trail.writable) {',
    becomes: 'if (false) {',
  }),
  mutation(
    'a failed upgrade leaves a pipe to the API server',
    [attack('failed-upgrade')],
    {
      file: 'src/upstream/upgrade-attempt.ts',
      text: 'if (this.#statusCode === 101) this.#switched(surplus)',
      becomes: 'if (this.#statusCode > 0) this.#switched(surplus)',
    },
    {
      file: 'src/kube/upgrade.ts',
      text: 'if (knownProtocol(answer.protocol) !== upgrade.protocol) {',
      becomes: `if (answer.protocol === '') return upgrade.subprotocols[0] ?? ''
  if (knownProtocol(answer.protocol) !== upgrade.protocol) {`,
    },
  ),
  mutation('a page of another origin may upgrade', [attack('foreign-origin')], {
    file: 'src/gateway/gateway.ts',
    text: 'refuseForeignOrigin(head.headers, this.#options.origin)',
    becomes: '',
  }),
  mutation('what is called a secret stays in the audit event', [attack('secrets-in-logs')], {
    file: 'src/kube/redaction.ts',
    text: 'return text.replace(JSON_WEB_TOKEN, REDACTED).replace(NAMED_SECRET, `$1${REDACTED}`)',
    becomes: 'return text',
  }),
  mutation('text of a client is escaped for JSON alone in the audit event', [attack('log-injection')], {
    file: 'src/audit/event.ts',
    text: ': JSON.stringify(text).replace(NOT_SHOWN, escapeUnits)',
    becomes: ': JSON.stringify(text)',
  }),
  mutation('text of a client is not cut in the audit event', [attack('oversized-log-fields')], {
    file: 'src/audit/event.ts',
    text: 'return text.length <= limit ? text : `${text.slice(0, limit)}… (${text.length} characters)`',
    becomes: 'return text.slice(0, Math.max(limit, text.length))',
  }),
  mutation('a stop is not told to those who send clients first', [ROLLING_RESTART], {
    file: 'src/app.ts',
    text: 'stopping = true\n      await sleep(limits.shutdownDelayMs)',
    becomes: 'await sleep(limits.shutdownDelayMs)\n      stopping = true',
  }),
  mutation('a stop gives sessions no time', [ROLLING_RESTART], {
    file: LISTENER,
    text: '}, drainTimeoutMs)\n    await closed',
    becomes: '}, 0)\n    await closed',
  }),
  mutation('a stop cuts requests under way over HTTP/2', [ROLLING_RESTART], {
    file: LISTENER,
    text: 'for (const session of this.#sessions) session.close()',
    becomes: 'for (const session of this.#sessions) session.destroy()',
  }),
  mutation('a stop does not tell connections of HTTP/1.1 that they end', [ROLLING_RESTART], {
    file: LISTENER,
    text: 'if (this.#stopping) response.shouldKeepAlive = false',
    becomes: '',
  }),
  mutation('a stop breaks watches off', [ROLLING_RESTART], {
    file: 'src/gateway/forward.ts',
    text: 'this.#finish(this.#statusCode)\n      this.#reply.end()\n    } else {',
    becomes: 'this.#finish(this.#statusCode)\n      this.#reply.destroy()\n    } else {',
  }),
  mutation('a stop resets what it cuts off over HTTP/2', [LIFECYCLE], {
    file: LISTENER,
    text: "this.#endStreams('session')",
    becomes: 'this.#gateway.streams.end(connectorStopping)',
  }),
  mutation('a stop promises over HTTP/2 to serve what it ignores', [LIFECYCLE], {
    file: LISTENER,
    text: 'const LAST_STREAM_SO_FAR = 0',
    becomes: 'const LAST_STREAM_SO_FAR = 2 ** 31 - 1',
  }),
  mutation('a stop sends away who is just coming over HTTP/2', [LIFECYCLE], {
    file: LISTENER,
    text: "session.once('stream', () => {\n        announceEnd(session)\n      })",
    becomes: 'announceEnd(session)',
  }),
  mutation('an upstream that is made anew ends what goes the old way', [ROTATION], {
    file: 'src/upstream/upstream-client.ts',
    text: 'this.#pool.retire()',
    becomes: 'this.#pool.close()',
  }),
  mutation('an upstream is never made anew', [ROTATION], {
    file: 'src/upstream/reloaded-upstream.ts',
    text: 'if (this.#closed || files.digest === this.#files.digest)',
    becomes: 'if (files.digest !== "")',
  }),
  mutation('a token file is read once', [ROTATION], {
    file: 'src/upstream/token-file.ts',
    text: 'this.rejected()\n    }, refreshMs)',
    becomes: '}, refreshMs)',
  }),
  mutation('what was admitted under a policy before goes on under a new one', [attack('withdrawn-rights')], {
    file: 'src/gateway/gateway.ts',
    text: 'if (status !== null) stream.end(status)',
    becomes: '',
  }),
  mutation('what a policy allowed for some time goes on after it', [attack('withdrawn-rights')], {
    file: 'src/gateway/gateway.ts',
    text: 'return this.#withdrawn(stream, noLongerInTime)',
    becomes: 'return null',
  }),
  mutation('who may no longer be somebody else still is', [attack('withdrawn-rights')], {
    file: 'src/gateway/admission.ts',
    text: 'for (const requestInfo of assumption) {',
    becomes: 'for (const requestInfo of assumption.slice(1e9)) {',
  }),
  mutation('a new policy ends what it still allows', [ROTATION], {
    file: 'src/gateway/gateway.ts',
    text: "return decision.effect === 'allow' ? null : told(decision.reason)",
    becomes: 'return told(decision.reason)',
  }),
  mutation('a listener goes on with its first certificate', [ROTATION], {
    file: 'src/config/server-certificates.ts',
    text: 'this.#server?.setSecureContext(this.#contextOptions(list[0]))\n    this.#list = list\n    this.#entries = entries\n    this.#byName = namesOf(entries)',
    becomes: '',
  }),
]

function mutation(name: string, noticedBy: readonly string[], ...edits: readonly Edit[]): Mutation {
  return { name, noticedBy, edits }
}

function attack(name: string): string {
  return `test/security/${name}.test.ts`
}

/**
 * A source with one edit made.
 *
 * @throws Error when the text to replace is not there exactly once: the source has changed, and the mutation has to
 * follow it.
 */
export function mutate(source: string, { file, text, becomes }: Edit): string {
  const [before = '', after, ...more] = source.split(text)
  if (after === undefined || more.length > 0) {
    throw new Error(`${file} holds this ${after === undefined ? 'no longer' : 'more than once'}: ${text.trim()}`)
  }
  return before + becomes + after
}
