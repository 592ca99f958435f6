import { expect, inject, onTestFinished, test } from 'vitest'
import { rightsOf } from '../../src/upstream/eks/access.ts'
import { applyRights, readAwsAuth, writeAwsAuth } from '../../src/upstream/eks/aws-auth-cluster.ts'
import { callCluster } from '../../src/upstream/eks/cluster-call.ts'
import { addRoleMapping, AwsAuthError } from '../../src/upstream/eks/role-mapping.ts'
import { loadKubeconfig } from '../../src/upstream/kubeconfig.ts'
import { UpstreamClient } from '../../src/upstream/upstream-client.ts'

const { controlPlane } = inject('surroundings')
const CONFIG_MAP = '/api/v1/namespaces/kube-system/configmaps/aws-auth'

async function administrator(): Promise<UpstreamClient> {
  const upstream = new UpstreamClient(await loadKubeconfig({ path: controlPlane.adminKubeconfig }))
  onTestFinished(() => {
    upstream.close()
  })
  return upstream
}

const mapping = (name: string) => ({
  rolearn: `arn:aws:iam::111122223333:role/${name}`,
  username: name,
  groups: ['postern-connector'],
})

test('aws-auth is made, then edited, and never over an edit of somebody else', async () => {
  const cluster = await administrator()
  const none = await readAwsAuth(cluster)
  expect(none).toEqual({ mapRoles: '', resourceVersion: '' })
  const first = `# mine\n${addRoleMapping('', mapping('first'))}`
  await writeAwsAuth(cluster, none, first)
  await expect(writeAwsAuth(cluster, none, 'too late')).rejects.toThrow(AwsAuthError)

  await callCluster(cluster, {
    method: 'PATCH',
    target: CONFIG_MAP,
    contentType: 'application/merge-patch+json',
    body: { data: { mapUsers: '# of others\n[]\n' } },
  })
  const present = await readAwsAuth(cluster)
  expect(present.mapRoles).toBe(first)
  const second = addRoleMapping(present.mapRoles, mapping('second'))
  await writeAwsAuth(cluster, present, second)
  await expect(writeAwsAuth(cluster, present, first)).rejects.toThrow(/somebody else has just changed aws-auth/)
  const { body } = await callCluster(cluster, { method: 'GET', target: CONFIG_MAP })
  expect(body).toMatchObject({ data: { mapRoles: second, mapUsers: '# of others\n[]\n' } })
})

test('least rights are to act as members of the named groups, and nothing else', async () => {
  const cluster = await administrator()
  const objects = rightsOf({ kind: 'least', groups: ['dev'] })
  await applyRights(cluster, objects)
  await applyRights(cluster, objects)
  const mayConnector = async (resourceAttributes: object): Promise<boolean> => {
    const { body } = await callCluster(cluster, {
      method: 'POST',
      target: '/apis/authorization.k8s.io/v1/subjectaccessreviews',
      body: {
        apiVersion: 'authorization.k8s.io/v1',
        kind: 'SubjectAccessReview',
        spec: { user: 'postern', groups: ['postern-connector', 'system:authenticated'], resourceAttributes },
      },
    })
    return (body as { readonly status: { readonly allowed: boolean } }).status.allowed
  }
  expect(await mayConnector({ verb: 'impersonate', resource: 'users', name: 'ana@example.com' })).toBe(true)
  expect(await mayConnector({ verb: 'impersonate', resource: 'groups', name: 'dev' })).toBe(true)
  expect(await mayConnector({ verb: 'impersonate', resource: 'groups', name: 'system:masters' })).toBe(false)
  expect(await mayConnector({ verb: 'list', resource: 'pods', namespace: 'default' })).toBe(false)
  expect(await mayConnector({ verb: 'get', resource: 'secrets', namespace: 'kube-system', name: 'x' })).toBe(false)
})
