import { z } from 'zod'
import { addressRange } from '../document/address-range.ts'
import { filePath } from '../document/file-path.ts'
import { httpsOrigin } from '../document/https-url.ts'
import { listenAddress } from '../document/listen-address.ts'
import { oneOrMore } from '../document/one-or-more.ts'
import { certificateAuthority } from './certificate-authority.ts'

/** Where each listener is unless the document says otherwise. */
export const DEFAULT_ADDRESSES = { kubernetes: ':8443', portal: ':8444', ops: '127.0.0.1:9443' } as const

const pair = z.strictObject({
  certificate: filePath.describe("PEM file with the listener's certificate first and intermediate ones behind it."),
  key: filePath.describe('PEM file with the private key of that certificate, not encrypted.'),
})

const TLS =
  'What the listener proves its names with: a certificate, or a list of which the name that the client asks for chooses ' +
  'one, and the first is for everybody else. One has to be for the host of `publicURL`. TLS 1.2 and 1.3. The files are ' +
  'read again when they change. Default: a certificate for trials, of an authority of its own, which is kept in `stateDirectory`.'

const portalTls = oneOrMore(pair).optional().describe(TLS)

const kubernetesTls = oneOrMore(
  pair.extend({
    certificateAuthority: certificateAuthority
      .optional()
      .describe(
        'Authority that signed the certificate, where it is a private one: `postern client kubeconfig set` writes it into ' +
          "people's kubeconfigs. A path, or PEM text; may be several, as while one takes the place of another. Default: the " +
          'self-signed certificate that ends the chain in `certificate`, where one does; else clients trust whom they trust.',
      ),
  }),
)
  .optional()
  .describe(TLS)

const trustedProxy = addressRange.refine((range) => !/\/0+$/.test(range), {
  error: 'is everybody, who could then choose a source address',
  params: { expected: 'the addresses of proxies' },
})

const tlsListener = <Tls extends z.ZodType>(defaultAddress: string, tls: Tls, publicURL: string) =>
  z.strictObject({
    address: listenAddress
      .prefault(defaultAddress)
      .describe('Where to listen: `host:port`, an IPv6 address in brackets. Without a host: on every interface.'),
    tls,
    publicURL: httpsOrigin.describe(publicURL),
    trustedProxies: z
      .array(trustedProxy)
      .default([])
      .describe(
        'Addresses and ranges of the proxies in front, whose `X-Forwarded-For` is believed. Name them narrowly: whoever connects from one of these addresses says where a request comes from.',
      ),
  })

/** The three listeners. */
export const listenSchema = z
  .strictObject({
    kubernetes: tlsListener(
      DEFAULT_ADDRESSES.kubernetes,
      kubernetesTls,
      'What clients call this listener, written into kubeconfigs. Nothing but a host and perhaps a port.',
    ).describe(
      'The Kubernetes API of the sockets, at `/sockets/NAME`, at their hosts, or at `/` for the default socket.',
    ),
    portal: tlsListener(
      DEFAULT_ADDRESSES.portal,
      portalTls,
      'What browsers and `postern client` call this listener. An origin of its own: not that of `kubernetes`.',
    ).describe('Sign-in, the JSON API and the console.'),
    ops: z
      .strictObject({
        address: listenAddress
          .prefault(DEFAULT_ADDRESSES.ops)
          .describe(
            'Where to listen. Plain HTTP without authentication: keep it on loopback or behind a network policy.',
          ),
      })
      .prefault({})
      .describe('`/livez`, `/readyz` and `/metrics`.'),
  })
  .describe('Where the connector can be reached.')
