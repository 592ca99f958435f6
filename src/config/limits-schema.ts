import { z } from 'zod'
import { duration } from '../document/duration.ts'
import { size } from '../document/size.ts'

const count = (minimum: number, maximum: number) => z.int().min(minimum).max(maximum)

/** Bounds of the kubernetes listener. */
export const limitsSchema = z
  .strictObject({
    requestHeadTimeout: duration({ minimum: '1s', maximum: '10m' })
      .prefault('30s')
      .describe(
        'From the first byte of a connection or request to the end of its head. Then the connection is closed.',
      ),
    requestBodyTimeout: duration({ minimum: '1s', maximum: '24h' })
      .prefault('10m')
      .describe('From the first byte of a request to the last byte of its body.'),
    idleConnectionTimeout: duration({ minimum: '1s', maximum: '24h' })
      .prefault('95s')
      .describe('How long a connection without a request is kept. kubectl itself keeps one for 90s.'),
    responseHeadTimeout: duration({ minimum: '1s', maximum: '24h' })
      .prefault('65s')
      .describe(
        "From the end of a request to the head of the API server's answer, then 504. The API server itself gives up " +
          'after 60s. Does not hold for what runs long: watch, logs -f, exec, attach, port-forward and proxy.',
      ),
    upgradeTimeout: duration({ minimum: '1s', maximum: '10m' })
      .prefault('35s')
      .describe('From dialling the API server to the begin of an exec, attach or port-forward, then 504.'),
    shutdownDelay: duration({ minimum: '0s', maximum: '10m' })
      .prefault('0s')
      .describe(
        'How long the connector goes on as before after it was told to stop, while `/readyz` already says 503, so that whoever ' +
          'sends it clients learns of it first. Then `drainTimeout` begins. A few seconds behind a load balancer or a Service.',
      ),
    drainTimeout: duration({ minimum: '0s', maximum: '24h' })
      .prefault('10s')
      .describe('How long requests and sessions under way may go on after the connector has stopped to listen.'),
    expiredTokenGrace: duration({ minimum: '0s', maximum: '24h' })
      .prefault('1h')
      .describe(
        'How long a watch, a followed log or a session goes on after the token that opened it expired. Each newer token ' +
          'of the same login, or of the same service account, counts instead, so that a login that is refreshed ends ' +
          'nothing. What a client certificate opened ends with it.',
      ),
    maxHeaderSize: size({ minimum: '8KiB', maximum: '1MiB' })
      .prefault('64KiB')
      .describe(
        'All header lines of a request together. A token may be 4 KiB shorter than that: with names of 40 characters it has room for a thousand groups.',
      ),
    maxConcurrentStreams: count(1, 10_000).default(250).describe('Requests at a time on one HTTP/2 connection.'),
    maxConnections: count(1, 1_000_000).default(20_000).describe('Connections of all clients at a time.'),
  })
  .describe('Bounds of the kubernetes listener.')
