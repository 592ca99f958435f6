import type { Subject } from '../kube/subject.ts'

/**
 * Who a person is to the gateway. Fields that are empty are left out, as Kubernetes does.
 *
 * @see k8s.io/api `authentication/v1/types.go`, SelfSubjectReview
 */
export function renderSelfSubjectReview({ username, uid, groups, extra }: Subject): unknown {
  return {
    kind: 'SelfSubjectReview',
    apiVersion: 'authentication.k8s.io/v1',
    metadata: {},
    status: {
      userInfo: {
        username,
        ...(uid !== '' && { uid }),
        ...(groups.length > 0 && { groups }),
        ...(Object.keys(extra).length > 0 && { extra }),
      },
    },
  }
}
