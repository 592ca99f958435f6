import { createHash } from 'node:crypto'
import { Readable } from 'node:stream'
import type * as Sdk from '@aws-sdk/client-s3'

/** Bytes of each part of an upload but the last, and what an upload holds in memory. S3 takes 10,000 parts. */
const PART_BYTES = 8 * 1024 * 1024
const CONNECT_TIMEOUT_MS = 10_000
/** Without a byte either way. */
const SOCKET_TIMEOUT_MS = 60_000
/** Tries of one request, the first included. */
const MAX_ATTEMPTS = 3
/** How long the bucket may take to forget the parts of an upload that failed, which costs room there until it does. */
const FORGET_TIMEOUT_MS = 2_000

/** Where objects are kept. Credentials come from where the AWS SDK looks for them: environment, files, roles. */
export interface S3Location {
  readonly bucket: string
  /** What every key begins with: empty, or ends with a slash. */
  readonly prefix: string
  /** Null to take what the AWS SDK finds. */
  readonly region: string | null
  /** URL of an S3-compatible server; null for AWS. */
  readonly endpoint: string | null
  /** Whether the bucket stands in the path rather than in the host name. */
  readonly forcePathStyle: boolean
  /** Encryption by the server; null to leave it to the bucket. */
  readonly serverSideEncryption: 'AES256' | 'aws:kms' | null
}

/** An object in a list. */
export interface StoredObject {
  /** Without the prefix. */
  readonly key: string
  readonly byteLength: number
  /** Milliseconds since the epoch. */
  readonly modifiedAtMs: number
}

/** The objects under one prefix of a bucket. The AWS SDK is loaded when one is opened, and by nothing else. */
export class S3Objects {
  readonly #sdk: typeof Sdk
  readonly #client: Sdk.S3Client
  readonly #location: S3Location
  readonly #closing = new AbortController()

  private constructor(sdk: typeof Sdk, location: S3Location) {
    this.#sdk = sdk
    this.#location = location
    const config: Sdk.S3ClientConfig = {
      forcePathStyle: location.forcePathStyle,
      maxAttempts: MAX_ATTEMPTS,
      // Every object has a SHA-256 of ours.
      requestChecksumCalculation: 'WHEN_REQUIRED',
      responseChecksumValidation: 'WHEN_REQUIRED',
      requestHandler: { connectionTimeout: CONNECT_TIMEOUT_MS, socketTimeout: SOCKET_TIMEOUT_MS },
    }
    if (location.region !== null) config.region = location.region
    if (location.endpoint !== null) config.endpoint = location.endpoint
    this.#client = new sdk.S3Client(config)
  }

  /** Sends nothing yet. */
  static async open(location: S3Location): Promise<S3Objects> {
    return new S3Objects(await import('@aws-sdk/client-s3'), location)
  }

  /**
   * Stores an object, replacing one of that key, and resolves when the server has confirmed its bytes.
   *
   * @param part the bytes from `start` up to `end`, not included.
   */
  async put(key: string, byteLength: number, part: (start: number, end: number) => Promise<Buffer>): Promise<void> {
    const whole = createHash('sha256')
    const checksum =
      byteLength <= PART_BYTES
        ? await this.#putWhole(key, await part(0, byteLength))
        : await this.#putParts(key, byteLength, async (start, end) => {
            const bytes = await part(start, end)
            whole.update(bytes)
            return bytes
          })
    const head = await this.#client.send(
      new this.#sdk.HeadObjectCommand({ ...this.#at(key), ChecksumMode: 'ENABLED' }),
      this.#options,
    )
    const stored = head.ChecksumSHA256 ?? (await this.#checksumOfContent(key))
    const expected = head.ChecksumSHA256 === undefined && byteLength > PART_BYTES ? whole.digest('base64') : checksum
    if (head.ContentLength !== byteLength || stored !== expected) {
      throw new Error(`the object ${key} was stored otherwise than it was sent`)
    }
  }

  /** The object's bytes; null when there is none of that key. The reader has to read or destroy it. */
  async get(key: string): Promise<Readable | null> {
    try {
      const { Body } = await this.#client.send(new this.#sdk.GetObjectCommand(this.#at(key)), this.#options)
      if (!(Body instanceof Readable)) throw new Error(`the object ${key} came without a body`)
      return Body
    } catch (error) {
      if (error instanceof this.#sdk.NoSuchKey) return null
      throw error
    }
  }

  /** Every object under the prefix, by key. */
  async *list(): AsyncGenerator<StoredObject> {
    const { bucket, prefix } = this.#location
    let token: string | undefined
    do {
      const page = await this.#client.send(
        new this.#sdk.ListObjectsV2Command({
          Bucket: bucket,
          Prefix: prefix,
          ...(token === undefined ? {} : { ContinuationToken: token }),
        }),
        this.#options,
      )
      for (const { Key, Size, LastModified } of page.Contents ?? []) {
        if (Key === undefined) continue
        yield {
          key: Key.slice(prefix.length),
          byteLength: Size ?? 0,
          modifiedAtMs: LastModified?.getTime() ?? Date.now(),
        }
      }
      token = page.IsTruncated === true ? page.NextContinuationToken : undefined
    } while (token !== undefined)
  }

  /** Resolves too when there is none of that key. */
  async delete(key: string): Promise<void> {
    await this.#client.send(new this.#sdk.DeleteObjectCommand(this.#at(key)), this.#options)
  }

  /** Makes what is under way fail, and whatever is asked for from now on. The bucket is still told of failed uploads. */
  breakOff(): void {
    this.#closing.abort()
  }

  /** Breaks off what is under way, and cuts its connections. */
  close(): void {
    this.breakOff()
    this.#client.destroy()
  }

  get #options(): { abortSignal: AbortSignal } {
    return { abortSignal: this.#closing.signal }
  }

  #at(key: string): { Bucket: string; Key: string } {
    return { Bucket: this.#location.bucket, Key: this.#location.prefix + key }
  }

  get #encryption(): { ServerSideEncryption?: 'AES256' | 'aws:kms' } {
    const { serverSideEncryption } = this.#location
    return serverSideEncryption === null ? {} : { ServerSideEncryption: serverSideEncryption }
  }

  async #putWhole(key: string, bytes: Buffer): Promise<string> {
    const checksum = createHash('sha256').update(bytes).digest('base64')
    await this.#client.send(
      new this.#sdk.PutObjectCommand({
        ...this.#at(key),
        ...this.#encryption,
        Body: bytes,
        ContentLength: bytes.length,
        ChecksumSHA256: checksum,
      }),
      this.#options,
    )
    return checksum
  }

  /** Resolves to S3's composite checksum: of the parts' digests, with their number. */
  async #putParts(
    key: string,
    byteLength: number,
    part: (start: number, end: number) => Promise<Buffer>,
  ): Promise<string> {
    const at = this.#at(key)
    const { UploadId } = await this.#client.send(
      new this.#sdk.CreateMultipartUploadCommand({ ...at, ...this.#encryption, ChecksumAlgorithm: 'SHA256' }),
      this.#options,
    )
    if (UploadId === undefined) throw new Error(`the upload of ${key} was given no id`)
    try {
      const parts: { PartNumber: number; ETag: string; ChecksumSHA256: string }[] = []
      const composite = createHash('sha256')
      for (let start = 0; start < byteLength; start += PART_BYTES) {
        const bytes = await part(start, Math.min(byteLength, start + PART_BYTES))
        const digest = createHash('sha256').update(bytes).digest()
        composite.update(digest)
        const sent = { PartNumber: parts.length + 1, ChecksumSHA256: digest.toString('base64') }
        const { ETag } = await this.#client.send(
          new this.#sdk.UploadPartCommand({ ...at, ...sent, UploadId, Body: bytes, ContentLength: bytes.length }),
          this.#options,
        )
        if (ETag === undefined) throw new Error(`a part of ${key} was given no tag`)
        parts.push({ ...sent, ETag })
      }
      await this.#client.send(
        new this.#sdk.CompleteMultipartUploadCommand({ ...at, UploadId, MultipartUpload: { Parts: parts } }),
        this.#options,
      )
      return `${composite.digest('base64')}-${parts.length}`
    } catch (error) {
      await this.#forget(key, UploadId)
      throw error
    }
  }

  /** Has the bucket forget the parts that it has, also when this is what breaks the upload off. Never rejects. */
  async #forget(key: string, uploadId: string): Promise<void> {
    const command = new this.#sdk.AbortMultipartUploadCommand({ ...this.#at(key), UploadId: uploadId })
    const abortSignal = AbortSignal.timeout(FORGET_TIMEOUT_MS)
    await this.#client.send(command, { abortSignal }).catch(() => undefined)
  }

  /** For servers that keep no checksums. */
  async #checksumOfContent(key: string): Promise<string> {
    const hash = createHash('sha256')
    for await (const block of (await this.get(key)) ?? []) hash.update(block as Buffer)
    return hash.digest('base64')
  }
}
