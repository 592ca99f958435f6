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
      .describe(
        'Policy files, relative to this document. `*` and `?` stand for characters; each has to match something.',
      ),
    audit: auditSchema,
    recordings: recordingsSchema.optional(),
    limits: limitsSchema.prefault({}),
  })
  .describe('One connector: where it listens, who may come in, which clusters it leads to.')

/** What the schema takes. */
export type ConnectorInput = z.input<typeof connectorSchema>
/** What the schema gives. */
export type ConnectorDocument = z.output<typeof connectorSchema>
