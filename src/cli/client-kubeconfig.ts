import { resolve } from 'node:path'
import { ClientError } from '../client/client-error.ts'
import { setContexts, unsetContexts, type PluginCommand } from '../client/kubeconfig.ts'
import { ownCommand } from '../client/plugin-command.ts'
import type { Socket } from '../client/portal.ts'
import { connectSignedIn } from '../client/signed-in.ts'
import { canAsk, choose } from './choose.ts'
import { EXIT, type ExitCode } from './exit-code.ts'
import { toTokenRequest, type LoginFlags, type OutputFlags } from './flags.ts'
import { printJSON, printLine, printNotice } from './terminal.ts'

interface KubeconfigFlags {
  readonly kubeconfig?: string
}

export interface KubeconfigSetFlags extends LoginFlags, OutputFlags, KubeconfigFlags {
  readonly namespace?: string
  readonly contextName: string
  readonly useContext?: true
  readonly all?: true
}

export interface KubeconfigUnsetFlags extends OutputFlags, KubeconfigFlags {
  readonly portal?: string
}

/**
 * Writes a context for each of the named sockets. When none is named a person is asked, and a program gets all that it may
 * reach.
 */
export async function runKubeconfigSet(names: readonly string[], flags: KubeconfigSetFlags): Promise<ExitCode> {
  const { login, listSockets } = await connectSignedIn(toTokenRequest(flags))
  const { items } = await listSockets()
  const ask = names.length === 0 && items.length > 1 && flags.all !== true && canAsk()
  const wanted = ask ? await askForSockets(items) : names
  const contexts = await setContexts({
    ...toTarget(flags),
    portal: login.portal,
    sockets: socketsNamed(items, wanted, login.portal),
    plugin: pluginCommand(login.portal, flags),
    contextName: flags.contextName,
    ...(flags.namespace !== undefined && { namespace: flags.namespace }),
    makeCurrent: flags.useContext === true,
  })
  if (flags.output === 'json') printJSON(contexts)
  else
    for (const { context, file, current } of contexts)
      printLine(`context ${context} is in ${file}${current ? ', and current' : ''}`)
  return EXIT.ok
}

/** Removes the named contexts, or all that Postern wrote. */
export async function runKubeconfigUnset(names: readonly string[], flags: KubeconfigUnsetFlags): Promise<ExitCode> {
  const removed = await unsetContexts({
    ...toTarget(flags),
    ...(flags.portal !== undefined && { portal: flags.portal }),
    contexts: names,
  })
  const missing = names.filter((name) => !removed.includes(name))
  if (flags.output === 'json') printJSON(removed)
  else for (const context of removed) printLine(`context ${context} is removed`)
  if (missing.length > 0)
    throw new ClientError('BadArgument', `no context of Postern is called ${missing.join(' or ')}`)
  if (removed.length === 0) printNotice('There is no context of Postern to remove.')
  return EXIT.ok
}

function toTarget({ kubeconfig }: KubeconfigFlags): { readonly env: NodeJS.ProcessEnv; readonly kubeconfig?: string } {
  return { env: process.env, ...(kubeconfig !== undefined && { kubeconfig }) }
}

function askForSockets(sockets: readonly Socket[]): Promise<readonly string[]> {
  const choices = sockets.map(({ metadata, status }) => ({ name: metadata.name, note: status.access.join(', ') }))
  return choose('Which sockets do you want in your kubeconfig?', choices, true)
}

function socketsNamed(sockets: readonly Socket[], names: readonly string[], portal: string): readonly Socket[] {
  const known = sockets.map(({ metadata }) => metadata.name)
  const missing = names.find((name) => !known.includes(name))
  const mayReach = known.length === 0 ? 'you may reach none' : `you may reach ${known.join(', ')}`
  if (missing !== undefined)
    throw new ClientError('BadArgument', `there is no socket "${missing}" at ${portal}; ${mayReach}`)
  if (known.length === 0) throw new ClientError('Refused', `${mayReach} at ${portal}; ask whoever runs it for a policy`)
  return names.length === 0 ? sockets : sockets.filter(({ metadata }) => names.includes(metadata.name))
}

/** Names the login by the flags that named it here, so that kubectl gets the same one. */
function pluginCommand(portal: string, { issuer, cacheDirectory }: LoginFlags): PluginCommand {
  return [
    ...ownCommand(process.argv[1] ?? '', process.env),
    ...['client', 'token', '--portal', portal],
    ...(issuer === undefined ? [] : ['--issuer', issuer]),
    ...(cacheDirectory === undefined ? [] : ['--cache-directory', resolve(cacheDirectory)]),
  ]
}
