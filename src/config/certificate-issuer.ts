import { createHash, createPrivateKey, generateKeyPairSync, randomBytes, sign, X509Certificate } from 'node:crypto'
import { isIP } from 'node:net'
import { AsnConvert, OctetString } from '@peculiar/asn1-schema'
import {
  AlgorithmIdentifier,
  AttributeTypeAndValue,
  AttributeValue,
  AuthorityKeyIdentifier,
  BasicConstraints,
  Certificate,
  ExtendedKeyUsage,
  Extension,
  Extensions,
  GeneralName,
  id_ce_authorityKeyIdentifier,
  id_ce_basicConstraints,
  id_ce_extKeyUsage,
  id_ce_keyUsage,
  id_ce_subjectAltName,
  id_ce_subjectKeyIdentifier,
  id_kp_serverAuth,
  KeyIdentifier,
  KeyUsage,
  KeyUsageFlags,
  Name,
  RelativeDistinguishedName,
  SubjectAlternativeName,
  SubjectKeyIdentifier,
  SubjectPublicKeyInfo,
  TBSCertificate,
  Validity,
  Version,
} from '@peculiar/asn1-x509'

/** ecdsa-with-SHA256 (RFC 5758 section 3.2). */
const ECDSA_WITH_SHA256 = '1.2.840.10045.4.3.2'
const COMMON_NAME = '2.5.4.3'
/** Clocks of clients may be so far behind, in milliseconds. */
const CLOCK_TOLERANCE_MS = 60 * 60_000

/** A certificate and its private key, both PEM. */
export interface IssuedCertificate {
  readonly certificate: string
  readonly key: string
}

/** From an hour before `nowMs`, in milliseconds since the epoch, until `lifetimeMs` after it. */
export interface IssuedFor {
  readonly nowMs: number
  readonly lifetimeMs: number
}

/** A new certificate authority, ECDSA P-256, which signs servers and no further authorities. */
export function issueAuthority(commonName: string, time: IssuedFor): IssuedCertificate {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const spki = publicKey.export({ type: 'spki', format: 'der' })
  const key = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()
  const subject = nameOf(commonName)
  const extensions = [
    extension(id_ce_basicConstraints, new BasicConstraints({ cA: true, pathLenConstraint: 0 }), true),
    extension(id_ce_keyUsage, new KeyUsage(KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign), true),
    extension(id_ce_subjectKeyIdentifier, new SubjectKeyIdentifier(keyIdentifier(spki))),
  ]
  return { certificate: signed({ issuer: subject, subject, spki, extensions, time, signingKey: key }), key }
}

/**
 * A new certificate for the names and addresses of a server, ECDSA P-256.
 *
 * @see RFC 5280 section 4.2
 */
export function issueServerCertificate(
  authority: IssuedCertificate,
  hosts: readonly string[],
  time: IssuedFor,
): IssuedCertificate {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const spki = publicKey.export({ type: 'spki', format: 'der' })
  const issuer = new X509Certificate(authority.certificate)
  const issuerFields = AsnConvert.parse(issuer.raw, Certificate).tbsCertificate
  const names = hosts.map((host) => new GeneralName(isIP(host) === 0 ? { dNSName: host } : { iPAddress: host }))
  const issuerKey = issuer.publicKey.export({ type: 'spki', format: 'der' })
  const extensions = [
    extension(id_ce_basicConstraints, new BasicConstraints({ cA: false }), true),
    extension(id_ce_keyUsage, new KeyUsage(KeyUsageFlags.digitalSignature), true),
    extension(id_ce_extKeyUsage, new ExtendedKeyUsage([id_kp_serverAuth])),
    extension(id_ce_subjectAltName, new SubjectAlternativeName(names)),
    extension(
      id_ce_authorityKeyIdentifier,
      new AuthorityKeyIdentifier({ keyIdentifier: new KeyIdentifier(keyIdentifier(issuerKey)) }),
    ),
  ]
  const subject = nameOf('Postern trial')
  const { key: signingKey } = authority
  return {
    certificate: signed({ issuer: issuerFields.subject, subject, spki, extensions, time, signingKey }),
    key: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
  }
}

interface SigningRequest {
  readonly issuer: Name
  readonly subject: Name
  readonly spki: Buffer
  readonly extensions: Extension[]
  readonly time: IssuedFor
  /** PEM. */
  readonly signingKey: string
}

function signed({ issuer, subject, spki, extensions, time, signingKey }: SigningRequest): string {
  const algorithm = new AlgorithmIdentifier({ algorithm: ECDSA_WITH_SHA256 })
  const tbsCertificate = new TBSCertificate({
    version: Version.v3,
    serialNumber: serialNumber(),
    signature: algorithm,
    issuer,
    validity: new Validity({
      notBefore: new Date(time.nowMs - CLOCK_TOLERANCE_MS),
      notAfter: new Date(time.nowMs + time.lifetimeMs),
    }),
    subject,
    subjectPublicKeyInfo: AsnConvert.parse(spki, SubjectPublicKeyInfo),
    extensions: new Extensions(extensions),
  })
  const signature = sign('sha256', Buffer.from(AsnConvert.serialize(tbsCertificate)), createPrivateKey(signingKey))
  const certificate = new Certificate({
    tbsCertificate,
    signatureAlgorithm: algorithm,
    signatureValue: bytesOf(signature),
  })
  return new X509Certificate(Buffer.from(AsnConvert.serialize(certificate))).toString()
}

function nameOf(commonName: string): Name {
  const value = new AttributeValue({ utf8String: commonName })
  return new Name([new RelativeDistinguishedName([new AttributeTypeAndValue({ type: COMMON_NAME, value })])])
}

function extension(extnID: string, value: object, critical = false): Extension {
  return new Extension({ extnID, critical, extnValue: new OctetString(AsnConvert.serialize(value)) })
}

/** 127 random bits, positive and without leading zeros (RFC 5280 section 4.1.2.2). */
function serialNumber(): ArrayBuffer {
  const bytes = randomBytes(16)
  bytes[0] = 0x40 | ((bytes[0] ?? 0) & 0x3f)
  return bytesOf(bytes)
}

/** The same for subject and authority, so any digest of the public key will do (RFC 5280 section 4.2.1.2). */
function keyIdentifier(spki: Buffer): ArrayBuffer {
  return bytesOf(createHash('sha256').update(spki).digest().subarray(0, 20))
}

function bytesOf(buffer: Buffer): ArrayBuffer {
  return new Uint8Array(buffer).buffer
}
