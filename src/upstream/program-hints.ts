/** What to do in place of programs that kubeconfigs are known to name, by the end of the path of the program. */
const HINTS: readonly (readonly [names: readonly string[], hint: string])[] = [
  [['aws', 'aws-iam-authenticator'], 'use upstream.eks, which makes the same tokens from AWS credentials'],
  [
    ['gke-gcloud-auth-plugin', 'gcloud', 'gcp'],
    'on GKE use a service account of the cluster: inCluster, or its token in a tokenFile',
  ],
  [
    ['kubelogin', 'kubectl-oidc_login', 'az', 'azure', 'oidc'],
    'on AKS, or with an issuer of your own, use a service account of the cluster: inCluster, or its token in a tokenFile',
  ],
  [['tsh', 'doctl', 'oci', 'ibmcloud', 'pinniped'], 'use a service account of the cluster: its token in a tokenFile'],
]
const OTHERWISE = 'use a token, a tokenFile or a client certificate'

/** What to use in place of the program or provider of this name. */
export function hintInPlaceOf(program: string): string {
  const name = program.replace(/^.*[/\\]/, '').replace(/\.(?:exe|cmd)$/i, '')
  const found = HINTS.find(([names]) => names.includes(name.toLowerCase()))
  return `the connector runs no programs; ${found?.[1] ?? OTHERWISE}`
}
