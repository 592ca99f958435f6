import { once } from 'node:events'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { createCertificateAuthority } from '../../sandbox/certificates.ts'
import type { StagedAws } from './staged-aws.ts'
import { startTokenVerifier } from './token-verifier.ts'

/**
 * The API server of an EKS cluster: aws-iam-authenticator's own code decides about each token, and the mapping from IAM
 * principals to subjects is the test's. `/echo` tells who asks.
 */
export interface StagedEksCluster {
  readonly url: string
  readonly certificateAuthority: string
  /** Canonical ARNs to what they are in the cluster; others get 401. */
  readonly mapped: Map<string, { readonly username: string; readonly groups: readonly string[] }>
  /** Tokens that were presented. */
  readonly tokens: string[]
  /** In place of the answers to all but `/readyz`, once the caller is known. */
  onRequest: ((request: IncomingMessage, response: ServerResponse) => void) | undefined
  close(): Promise<void>
}

/** Starts the API server of cluster `name` and makes it known to the AWS. `binary` is the path of the token verifier. */
export async function startStagedEksCluster(binary: string, aws: StagedAws, name: string): Promise<StagedEksCluster> {
  const authority = createCertificateAuthority(`authority of ${name}`)
  const verifier = await startTokenVerifier(binary, aws, name)
  const server = createServer(authority.issueServer(), (request, response) => {
    void answer(request, response)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const staged: StagedEksCluster = {
    url: `https://127.0.0.1:${(server.address() as AddressInfo).port}`,
    certificateAuthority: authority.certificate,
    mapped: new Map(),
    tokens: [],
    onRequest: undefined,
    async close() {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
      await verifier.close()
    },
  }
  aws.clusters.set(name, {
    status: 'ACTIVE',
    endpoint: staged.url,
    certificateAuthority: staged.certificateAuthority,
    authenticationMode: 'API_AND_CONFIG_MAP',
    publicEndpoint: true,
    accessEntries: new Map(),
  })
  return staged

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const token = request.headers.authorization?.replace(/^Bearer /, '') ?? ''
    staged.tokens.push(token)
    const { canonicalARN, error } = await verifier.verify(token)
    const subject = staged.mapped.get(canonicalARN)
    response.setHeader('Content-Type', 'application/json')
    if (error !== '' || subject === undefined) {
      response
        .writeHead(401)
        .end('{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"Unauthorized","code":401}')
    } else if (request.url === '/readyz') response.end('ok')
    else if (staged.onRequest !== undefined) staged.onRequest(request, response)
    else if (request.url?.startsWith('/apis/authentication.k8s.io/v1/selfsubjectreviews') === true) {
      response.writeHead(201).end(JSON.stringify({ status: { userInfo: subject } }))
    } else response.end(JSON.stringify(subject))
  }
}
