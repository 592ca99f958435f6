import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { goBinary } from '../../sandbox/go-program.ts'
import type { StagedAws } from './staged-aws.ts'

/** What aws-iam-authenticator says of a token; `error` is empty when it takes it. */
interface Verified {
  readonly arn: string
  readonly canonicalARN: string
  readonly sessionName: string
  readonly accessKeyID: string
  readonly stsEndpoint: string
  readonly error: string
}

/** aws-iam-authenticator's own verification, as a cluster has it; it asks the staged STS. */
export interface TokenVerifier {
  verify(token: string): Promise<Verified>
  close(): Promise<void>
}

/** Builds the verifier when the cache does not hold it: some 20 s with a warm Go cache, else about a minute. */
export function tokenVerifierBinary(): Promise<string> {
  return goBinary({
    name: 'token-verifier',
    title: "aws-iam-authenticator's token verification",
    sources: fileURLToPath(new URL('../token-verifier', import.meta.url)),
    tags: '',
    linkerFlags: '-s -w',
  })
}

/** Starts the gate of one cluster, with the binary that {@link tokenVerifierBinary} gives. */
export async function startTokenVerifier(
  binary: string,
  aws: StagedAws,
  cluster: string,
  partition = 'aws',
): Promise<TokenVerifier> {
  const directory = await mkdtemp(join(tmpdir(), 'postern-verifier-'))
  await writeFile(join(directory, 'ca.pem'), aws.certificateAuthority)
  const child = spawn(binary, [cluster, partition, aws.region], {
    env: { HTTPS_PROXY: aws.environment['HTTPS_PROXY'], SSL_CERT_FILE: join(directory, 'ca.pem') },
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  const waiting: ((verified: Verified) => void)[] = []
  createInterface(child.stdout).on('line', (line) => waiting.shift()?.(JSON.parse(line) as Verified))
  return {
    verify: (token) =>
      new Promise((resolve) => {
        waiting.push(resolve)
        child.stdin.write(`${token}\n`)
      }),
    async close() {
      child.stdin.end()
      await once(child, 'close')
      await rm(directory, { recursive: true })
    },
  }
}
