import { once } from 'node:events'
import { connect } from 'node:net'
import { createServer } from 'node:tls'
import { createCertificateAuthority } from '../../../sandbox/certificates.ts'
import { type ObjectStore, startObjectStore } from '../../support/object-store.ts'

/** A bucket behind TLS, without which a connector takes none. */
export interface HttpsBucket extends AsyncDisposable {
  readonly store: ObjectStore
  /** What `recordings.s3` says of it. */
  readonly s3: { readonly endpoint: string; readonly bucket: string; readonly region: string }
  /** PEM. */
  readonly certificateAuthority: string
}

export async function startHttpsBucket(): Promise<HttpsBucket> {
  const store = await startObjectStore()
  const authority = createCertificateAuthority('a bucket')
  const target = Number(new URL(store.endpoint).port)
  const server = createServer(authority.issueServer(), (client) => {
    const upstream = connect(target, '127.0.0.1')
    client.on('error', () => upstream.destroy()).once('close', () => upstream.destroy())
    upstream.on('error', () => client.destroy()).once('close', () => client.destroy())
    client.pipe(upstream).pipe(client)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('a TCP server has a port')
  return {
    store,
    s3: {
      endpoint: `https://127.0.0.1:${address.port}`,
      bucket: store.bucket,
      region: store.environment.AWS_REGION,
    },
    certificateAuthority: authority.certificate,
    [Symbol.asyncDispose]: async () => {
      server.close()
      await store.close()
    },
  }
}
