import { isDeepStrictEqual } from 'node:util'
import { ClientError } from './client-error.ts'
import { defaultKubeconfigPath, kubeconfigPaths, readKubeconfig, rewriteKubeconfig } from './kubeconfig-files.ts'
import {
  editKubeconfig,
  KUBECONFIG_LISTS,
  parseKubeconfig,
  toFields,
  type Fields,
  type Kubeconfig,
  type KubeconfigEdit,
  type KubeconfigList,
} from './kubeconfig-text.ts'
import type { Socket } from './portal.ts'

/** The command that kubectl is to run for a token: a program and its arguments. */
export type PluginCommand = readonly [string, ...string[]]

interface KubeconfigTarget {
  /** A file; absent for $KUBECONFIG or `~/.kube/config`. */
  readonly kubeconfig?: string
  readonly env: NodeJS.ProcessEnv
}

export interface SetRequest extends KubeconfigTarget {
  readonly portal: string
  readonly sockets: readonly Socket[]
  /** Complete, `client token --portal …` included. */
  readonly plugin: PluginCommand
  /** Name of context, cluster and user; `{socket}` and `{portal}` (its host name) are filled in. */
  readonly contextName: string
  /** Default namespace of the contexts; absent to leave it as it is. */
  readonly namespace?: string
  /** Makes the context current even when another one is. */
  readonly makeCurrent: boolean
}

export interface WrittenContext {
  readonly context: string
  readonly socket: string
  readonly file: string
  readonly current: boolean
}

/** One kubeconfig file as it was read. */
interface OpenFile {
  readonly path: string
  readonly kubeconfig: Kubeconfig
}

/**
 * Writes cluster, user and context of each socket, all three under the same name, to the file that has the name already,
 * else to the default one. Of entries that were there, keys that are not ours stay, such as `proxy-url`.
 *
 * @throws ClientError `KubeconfigUnusable`, also when a name is taken by an entry that is not Postern's.
 */
export async function setContexts(request: SetRequest): Promise<readonly WrittenContext[]> {
  const files = open(request)
  const fallback = defaultKubeconfigPath(files.map(({ path }) => path))
  const current = files.find(({ kubeconfig }) => kubeconfig.currentContext !== '')
  const written = request.sockets.map((socket, index) => {
    const context = fillIn(request.contextName, socket, request.portal)
    const owner = files.find((file) => has(file, context))
    if (owner !== undefined) refuseForeign(owner, context)
    const becomesCurrent = index === 0 && (request.makeCurrent || current === undefined)
    return { context, socket, owner, file: owner?.path ?? fallback, becomesCurrent }
  })
  refuseDuplicates(written.map(({ context }) => context))

  const edits = new Map<string, KubeconfigEdit[]>()
  const add = (path: string, ...added: KubeconfigEdit[]): void => {
    edits.set(path, [...(edits.get(path) ?? []), ...added])
  }
  for (const { context, socket, owner, file, becomesCurrent } of written) {
    add(file, ...editsFor(context, socket, request, owner?.kubeconfig))
    if (becomesCurrent) add(current?.path ?? fallback, { currentContext: context })
  }
  await write(edits)
  const currentName =
    written.find(({ becomesCurrent }) => becomesCurrent)?.context ?? current?.kubeconfig.currentContext
  return written.map(({ context, socket, file }) => ({
    context,
    socket: socket.metadata.name,
    file,
    current: context === currentName,
  }))
}

export interface UnsetRequest extends KubeconfigTarget {
  /** Absent for every portal. */
  readonly portal?: string
  /** Names of contexts; empty for all. */
  readonly contexts: readonly string[]
}

/** Removes what {@link setContexts} wrote, from all files that count. Gives back the names of the contexts. */
export async function unsetContexts(request: UnsetRequest): Promise<readonly string[]> {
  const edits = new Map<string, KubeconfigEdit[]>()
  const removed = new Set<string>()
  for (const { path, kubeconfig } of open(request)) {
    const names = [...kubeconfig.users]
      .filter(([name, user]) => {
        const portal = portalOf(user)
        const meant = request.contexts.length === 0 || request.contexts.includes(name)
        return meant && portal !== null && (request.portal === undefined || portal === request.portal)
      })
      .map(([name]) => name)
    const changes: KubeconfigEdit[] = names.flatMap((name) =>
      lists.filter((list) => kubeconfig[list].has(name)).map((list) => ({ list, name, entry: null })),
    )
    if (names.includes(kubeconfig.currentContext)) changes.push({ currentContext: '' })
    if (changes.length > 0) edits.set(path, changes)
    for (const name of names) removed.add(name)
  }
  await write(edits)
  return [...removed].sort()
}

const lists = Object.keys(KUBECONFIG_LISTS) as KubeconfigList[]

function open({ kubeconfig, env }: KubeconfigTarget): readonly OpenFile[] {
  return kubeconfigPaths(kubeconfig, env).map((path) => ({
    path,
    kubeconfig: parseKubeconfig(readKubeconfig(path), path),
  }))
}

async function write(edits: ReadonlyMap<string, readonly KubeconfigEdit[]>): Promise<void> {
  for (const [path, changes] of edits) await rewriteKubeconfig(path, (text) => editKubeconfig(text, changes, path))
}

function editsFor(
  name: string,
  { status }: Socket,
  { plugin: [command, ...args], namespace, portal }: SetRequest,
  before: Kubeconfig | undefined,
): KubeconfigEdit[] {
  const authority = status.certificateAuthorityData
  const user = before?.users.get(name)
  const entries: Record<KubeconfigList, Fields> = {
    clusters: {
      ...without(before?.clusters.get(name), CERTIFICATE_CHECKS),
      ...(authority !== undefined && { 'certificate-authority-data': authority }),
      server: status.url,
    },
    users: {
      ...user,
      exec: {
        ...toFields(user?.['exec']),
        apiVersion: 'client.authentication.k8s.io/v1',
        args,
        command,
        installHint: `Postern's command line is needed to sign in; ${portal} tells more.`,
        // Who does not want kubectl to open a browser writes Never there.
        interactiveMode: toFields(user?.['exec'])?.['interactiveMode'] === 'Never' ? 'Never' : 'IfAvailable',
        provideClusterInfo: false,
      },
    },
    contexts: {
      ...before?.contexts.get(name),
      cluster: name,
      ...(namespace !== undefined && { namespace }),
      user: name,
    },
  }
  return lists
    .filter((list) => !isDeepStrictEqual(before?.[list].get(name), entries[list]))
    .map((list) => ({ list, name, entry: entries[list] }))
}

/** Keys of a cluster that say how the server's certificate is checked. They are all ours. */
const CERTIFICATE_CHECKS = ['certificate-authority', 'certificate-authority-data', 'insecure-skip-tls-verify']

function without(fields: Fields | undefined, keys: readonly string[]): Fields {
  return Object.fromEntries(Object.entries(fields ?? {}).filter(([key]) => !keys.includes(key)))
}

function fillIn(template: string, socket: Socket, portal: string): string {
  return template.replaceAll('{socket}', socket.metadata.name).replaceAll('{portal}', new URL(portal).hostname)
}

function has({ kubeconfig }: OpenFile, name: string): boolean {
  return lists.some((list) => kubeconfig[list].has(name))
}

/** The portal of a user entry that Postern wrote, else null. */
function portalOf(user: Fields | undefined): string | null {
  const args = toFields(user?.['exec'])?.['args']
  if (!Array.isArray(args)) return null
  const at = args.findIndex(
    (arg, index) => arg === 'client' && args[index + 1] === 'token' && args[index + 2] === '--portal',
  )
  const portal: unknown = args[at + 3]
  return at < 0 || typeof portal !== 'string' ? null : portal
}

function refuseForeign({ path, kubeconfig }: OpenFile, name: string): void {
  if (portalOf(kubeconfig.users.get(name)) !== null) return
  throw new ClientError(
    'KubeconfigUnusable',
    `${path} has a "${name}" that Postern did not write; choose another name, such as --context-name '{socket}@{portal}'`,
  )
}

function refuseDuplicates(names: readonly string[]): void {
  if (new Set(names).size < names.length)
    throw new ClientError('BadArgument', 'several sockets would get the same name; write {socket} in --context-name')
}
