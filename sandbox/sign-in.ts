import type { Connector } from './connector.ts'
import type { Person } from './identity-provider/people.ts'
import { type TrustedProvider, signIn } from './identity-provider/browser.ts'
import { runPostern } from './postern.ts'

/**
 * Lets a person run `postern client login --no-browser` and go to the address that it prints.
 *
 * @param cacheDirectory where the login is kept.
 * @throws Error with what the command said when it failed.
 */
export async function logIn(
  connector: Pick<Connector, 'portalURL' | 'certificateAuthority'>,
  provider: TrustedProvider,
  person: Person,
  cacheDirectory: string,
): Promise<void> {
  const visits: Promise<unknown>[] = []
  let said = ''
  const { exitCode, stderr } = await runPostern(
    [
      ...['client', 'login', '--no-browser', '--portal', connector.portalURL],
      ...['--certificate-authority', connector.certificateAuthority.path, '--cache-directory', cacheDirectory],
    ],
    {
      onStderr(text) {
        said += text
        const address = /https:\/\/\S+(?=\n)/.exec(said)?.[0]
        if (address !== undefined && visits.length === 0) visits.push(signIn(provider, person, address))
      },
    },
  )
  await Promise.all(visits)
  if (exitCode !== 0) throw new Error(`postern client login ended with ${exitCode}: ${stderr}`)
}

/** Lets a person who is signed in run `postern client kubeconfig set`, for contexts named `PREFIX@SOCKET`. */
export async function setKubeconfig(
  connector: Pick<Connector, 'portalURL'>,
  options: { readonly prefix: string; readonly kubeconfig: string; readonly cacheDirectory: string },
): Promise<void> {
  const { exitCode, stderr } = await runPostern([
    ...['client', 'kubeconfig', 'set', '--portal', connector.portalURL, '--kubeconfig', options.kubeconfig],
    ...['--context-name', `${options.prefix}@{socket}`, '--cache-directory', options.cacheDirectory],
  ])
  if (exitCode !== 0) throw new Error(`postern client kubeconfig set ended with ${exitCode}: ${stderr}`)
}
