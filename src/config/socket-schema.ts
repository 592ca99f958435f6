import { z } from 'zod'
import { choice } from '../document/choice.ts'
import { filePath } from '../document/file-path.ts'
import { httpsURL } from '../document/https-url.ts'
import { oneOrMore } from '../document/one-or-more.ts'
import { secretReference } from '../document/secret.ts'
import { certificateAuthority } from './certificate-authority.ts'
import { eks } from './eks-schema.ts'

const NAME_EXPECTED = 'a DNS label: lower-case letters, digits and "-", at most 63 characters'
const HOST_EXPECTED = 'a lower-case host name without a port'
const NAME = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/
const HOST = /^(?!.{254})(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)*[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/

export const socketName = z.string({ error: NAME_EXPECTED }).regex(NAME, { error: NAME_EXPECTED })

const hostName = z.string({ error: HOST_EXPECTED }).regex(HOST, { error: HOST_EXPECTED })

/** PEM in a file or in an environment variable. */
const pem = z.union([filePath, secretReference]).meta({ title: 'path, or object' })

const kubeconfig = z
  .strictObject({
    path: oneOrMore(filePath).describe(
      'The kubeconfig, or several that are read as kubectl reads those of `$KUBECONFIG`: the first that has a name counts. They and the files that they name are read again when they change. `exec`, `auth-provider` and `proxy-url` are refused.',
    ),
    context: z.string().min(1).optional().describe('Name of the context. Default: `current-context`.'),
  })
  .describe('Address, certificate authority and credential as a kubeconfig has them.')

const server = z
  .strictObject({
    url: httpsURL.describe('Address of the API server.'),
    certificateAuthority: certificateAuthority.describe(
      'PEM file, read again when it changes, or the PEM text itself. It alone is trusted.',
    ),
    tlsServerName: hostName
      .optional()
      .describe("Name that the API server's certificate must have. Default: the host of `url`."),
    credential: choice({
      token: secretReference.describe('Bearer token. A file is read again when it changes.'),
      clientCertificate: z
        .strictObject({
          certificate: pem.describe(
            'The certificate with its chain, PEM: a path, `{ file: PATH }` or `{ env: NAME }`.',
          ),
          key: pem.describe('Its private key, PEM, not encrypted: likewise.'),
        })
        .describe('Client certificate. Files are read again when they change.'),
    }).describe('Who the connector is to the API server.'),
  })
  .describe('An API server, described in place.')

/** One socket. */
export const socketSchema = z.strictObject({
  name: socketName.describe('Once among all sockets; in paths, in contexts and in policies.'),
  hosts: z
    .array(hostName)
    .default([])
    .describe('Host names that mean this socket, for clients that cannot carry a path. Each once among all sockets.'),
  upstream: choice({
    kubeconfig,
    inCluster: z
      .strictObject({})
      .describe(
        'The service account of the pod that the connector runs in. Its token and its authority are read again as they are renewed.',
      ),
    server,
    eks,
  }).describe('Which API server, and who the connector is there.'),
  forwardAs: z
    .enum(['connector', 'subject'])
    .default('connector')
    .describe(
      'Whose name the API server sees: that of the connector, or that of the subject through `Impersonate-*` headers ' +
        "(which the connector's credential has to be allowed to).",
    ),
  recording: z
    .strictObject({
      sessions: z
        .enum(['required', 'best-effort', 'off'])
        .optional()
        .describe(
          '`required`: no recorder, no session. `best-effort`: a session goes on without, and the audit trail says so. ' +
            'Rules can say otherwise for theirs. Default: `required` with `recordings` in this document, else `off`.',
        ),
      input: z.boolean().default(false).describe('Also what is typed, masked while the terminal does not echo it.'),
    })
    .prefault({})
    .describe('What is recorded of exec, attach and port-forward.'),
})
