import { ClientError } from '../client/client-error.ts'
import { loadConnectorConfig } from '../config/load-connector-config.ts'
import { checkCluster } from '../upstream/eks/cluster-check.ts'
import type { EksOptions } from '../upstream/eks/eks-options.ts'
import { toEksOptions, type ClusterFlags } from './eks-flags.ts'
import { EXIT, type ExitCode } from './exit-code.ts'
import type { OutputFlags } from './flags.ts'
import { printJSON, printLine } from './terminal.ts'

export interface EksCheckFlags extends ClusterFlags, OutputFlags {
  readonly config?: string
  readonly socket?: string
}

/** Goes the way of a request, and prints where it ends. */
export async function runEksCheck(flags: EksCheckFlags): Promise<ExitCode> {
  const options = flags.config === undefined ? toEksOptions(flags) : await ofDocument(flags.config, flags.socket)
  // The SDK's own variables, for AWS behind another door.
  const sts = process.env['AWS_ENDPOINT_URL_STS'] ?? process.env['AWS_ENDPOINT_URL'] ?? ''
  const steps = await checkCluster(options, { stsEndpoint: sts, roleARN: process.env['AWS_ROLE_ARN'] ?? '' })
  const ok = steps.every((step) => step.ok)
  if (flags.output === 'json') printJSON({ cluster: options.cluster, region: options.region, ok, steps })
  else
    for (const { name, ok: well, detail } of steps)
      printLine(`${name.padEnd(12)} ${well ? 'ok    ' : 'FAILED'} ${detail}`)
  return ok ? EXIT.ok : EXIT.failure
}

async function ofDocument(path: string, socket: string | undefined): Promise<EksOptions> {
  const { sockets } = await loadConnectorConfig(path)
  const found = sockets.flatMap(({ name, upstream }) => (upstream.kind === 'eks' ? [{ name, upstream }] : []))
  const chosen = socket === undefined ? found : found.filter(({ name }) => name === socket)
  const [only] = chosen
  if (only === undefined) throw new ClientError('BadArgument', `${path} has no such socket with an eks upstream`)
  if (chosen.length > 1) {
    const names = chosen.map(({ name }) => name).join(', ')
    throw new ClientError('BadArgument', `name one of the sockets with --socket: ${names}`)
  }
  return only.upstream
}
