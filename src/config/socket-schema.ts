import { z } from 'zod'
import { choice } from '../document/choice.ts'
import { filePath } from '../document/file-path.ts'
import { httpsURL } from '../document/https-url.ts'
import { oneOrMore } from '../document/one-or-more.ts'
import { environmentVariable, secretReference } from '../document/secret.ts'
import { certificateAuthority } from './certificate-authority.ts'
import { eks } from './eks-schema.ts'

const NAME_EXPECTED = 'a DNS label: lower-case letters, digits and "-", at most 63 characters'
export const HOST_EXPECTED = 'a lower-case host name without a port'
const NAME = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/
const HOST = /^(?!.{254})(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)*[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/

export const socketName = z.string({ error: NAME_EXPECTED }).regex(NAME, { error: NAME_EXPECTED })

export const hostName = z.string({ error: HOST_EXPECTED }).regex(HOST, { error: HOST_EXPECTED })

const elsewhere = choice({
  file: filePath.describe('File that holds it, read again when it changes. White space around it does not count.'),
  env: environmentVariable.describe('Environment variable that holds it.'),
})

/** What is written in place, or stands in a file or an environment variable. */
const orElsewhere = <Written extends z.ZodType>(written: Written, title: string) =>
  z.union([written, elsewhere]).meta({ title })

const pem = orElsewhere(filePath, 'path, or object')

const kubeconfig = z
  .strictObject({
    path: oneOrMore(filePath).describe(
      'The kubeconfig, or several that are read as kubectl reads those of `$KUBECONFIG`: the first that has a name counts, and one that is missing or empty is passed over while another is there. They and the files that they name are read again when they change. `exec`, `auth-provider` and `proxy-url` are refused.',
    ),
    context: z.string().min(1).optional().describe('Name of the context. Default: `current-context`.'),
  })
  .describe('Address, certificate authority and credential as a kubeconfig has them.')

const server = z
  .strictObject({
    url: orElsewhere(httpsURL, 'https URL, or object').describe(
      'Address of the API server: in place, `{ file: PATH }` or `{ env: NAME }`.',
    ),
    certificateAuthority: orElsewhere(certificateAuthority, 'path or PEM, or object').describe(
      'It alone is trusted: a PEM file, as `PATH` or `{ file: PATH }`, read again when it changes; the PEM text itself; or `{ env: NAME }` with that text.',
    ),
    tlsServerName: orElsewhere(hostName, 'host name, or object')
      .optional()
      .describe(
        "Name that the API server's certificate must have: in place, `{ file: PATH }` or `{ env: NAME }`. Default: the host of `url`.",
      ),
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
    .describe(
      'Host names that mean this socket, for clients that cannot carry a path. Each once among all sockets, and in a ' +
        'certificate of `listen.kubernetes.tls`. Not the host of `listen.kubernetes.publicURL` where there are other sockets.',
    ),
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
