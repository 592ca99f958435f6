import type { Readable } from 'node:stream'
import type { Duplex } from 'node:stream'
import type { Decision } from '../policy/authorizer.ts'
import { type ForwardContext, forward } from './forward.ts'
import type { Reply } from './reply.ts'
import { type Authenticated, Authorized } from './stages.ts'
import { type TunnelContext, tunnel } from './tunnel.ts'

// Attack E25.

/* Compiled, never run: each expected error is one way round the decision that does not compile. */

declare const authenticated: Authenticated
declare const decision: Decision
declare const body: Readable
declare const client: Duplex
declare const reply: Reply
declare const tunnels: TunnelContext
declare const context: ForwardContext

forward(Authorized.from(authenticated, decision), body, reply, context)

// @ts-expect-error an authenticated request was not decided
forward(authenticated, body, reply, context)
// @ts-expect-error nor may it open a tunnel
void tunnel(authenticated, client, tunnels)
// @ts-expect-error nobody makes an Authorized but Authorized.from
new Authorized(authenticated, decision)
// @ts-expect-error and nothing passes for one that only looks like it
forward({ authenticated, decision, obligations: {} }, body, reply, context)
