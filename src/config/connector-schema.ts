import { z } from 'zod'
import { choice } from '../document/choice.ts'
import { filePath } from '../document/file-path.ts'
import { identitySchema } from './identity-schema.ts'
import { limitsSchema } from './limits-schema.ts'
import { listenSchema } from './listen-schema.ts'
import { recordingsSchema } from './recordings-schema.ts'
import { socketName, socketSchema } from './socket-schema.ts'

const auditSchema = z
  .strictObject({
    trail: choice({
      directory: filePath.describe('Directory of the trail, made when it is missing: `audit.jsonl`, only appended to.'),
      stdout: z.strictObject({}).describe('Standard output, for a collector that reads it.'),
    }).describe('Where audit events go, one JSON object a line.'),
    requestReceived: z
      .boolean()
      .default(false)
      .describe('Also an event at the arrival of each request, before anything is decided.'),
  })
  .describe('What is kept of what happened, in audit.k8s.io/v1 Events.')

/** The connector document as it is written. Output: durations in milliseconds, sizes in bytes, defaults filled in. */
export const connectorSchema = z
  .strictObject({
    apiVersion: z.literal('postern.dev/v1alpha1').describe('Version of the form of this document.'),
    kind: z.literal('Connector').describe('What this document is.'),
    listen: listenSchema,
    identity: identitySchema,
    sockets: z.array(socketSchema).min(1).describe('Ways in to clusters, one API server each.'),
    defaultSocket: socketName
      .optional()
      .describe('Socket of a request that names none, by path or by host. Without it such a request is answered 404.'),
    policies: z
      .array(filePath)
      .min(1)
      .optional()
      .describe(
        'Policy files, relative to this document. `*` and `?` stand for characters; each has to match something. May be ' +
          'omitted beside `policyObjects`.',
      ),
    policyObjects: z
      .strictObject({
        socket: socketName.describe(
          'The socket whose cluster they are in. Nothing is let through any socket until they were read once.',
        ),
        namespaced: z
          .boolean()
          .default(false)
          .describe('Also the PosternPolicies of namespaces, each of which can only allow, and only in its own.'),
      })
      .optional()
      .describe(
        'Policies that are Kubernetes objects, besides the files: the ClusterPosternPolicies of a cluster, about any socket.',
      ),
    audit: auditSchema,
    recordings: recordingsSchema.optional(),
    stateDirectory: filePath
      .optional()
      .describe(
        'What the connector makes for itself and keeps: `logins.sqlite`, who is signed in and which logins were revoked, for ' +
          'one connector at a time; and the authority of a trial certificate, when a listener has no `tls`. ' +
          'Default: `$STATE_DIRECTORY` as systemd sets it. With neither, logins are kept in memory alone, so that a ' +
          'restart forgets revocations, and the authority is in `$XDG_STATE_HOME/postern` or `~/.local/state/postern`.',
      ),
    limits: limitsSchema.prefault({}),
  })
  .refine((document) => 'policies' in document || 'policyObjects' in document, {
    path: ['policies'],
    error: 'is missing',
    params: { expected: 'policy files, or policyObjects' },
    when: ({ value }) => typeof value === 'object' && value !== null,
  })
  .describe('One connector: where it listens, who may come in, which clusters it leads to.')

/** What the schema takes. */
export type ConnectorInput = z.input<typeof connectorSchema>
/** What the schema gives. */
export type ConnectorDocument = z.output<typeof connectorSchema>
