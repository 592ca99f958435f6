import type { PolicyDocument } from './policy-document.ts'

/** Its name, which no document can have. */
export const DISCOVERY = 'postern:discovery'

/** The group that everybody has who signed in. */
export const EVERYBODY = 'system:authenticated'

/**
 * What everybody who signed in may do unless a policy denies it: discover the API, which kubectl does before anything
 * else, and ask about their own rights.
 *
 * @see the cluster roles system:discovery and system:basic-user in k8s.io/kubernetes
 * `plugin/pkg/auth/authorizer/rbac/bootstrappolicy/policy.go` (v1.36)
 */
export const discoveryPolicy: PolicyDocument = {
  apiVersion: 'postern.dev/v1alpha1',
  kind: 'Policy',
  metadata: { name: DISCOVERY },
  spec: {
    subjects: { groups: [EVERYBODY], users: [] },
    rules: [
      {
        effect: 'allow',
        verbs: ['get', 'head'],
        nonResourceURLs: [
          '/api',
          '/api/*',
          '/apis',
          '/apis/*',
          '/openapi',
          '/openapi/*',
          '/version',
          '/version/',
          '/healthz',
          '/livez',
          '/readyz',
        ],
      },
      {
        effect: 'allow',
        verbs: ['create'],
        apiGroups: ['authorization.k8s.io'],
        resources: ['selfsubjectaccessreviews', 'selfsubjectrulesreviews'],
      },
      {
        effect: 'allow',
        verbs: ['create'],
        apiGroups: ['authentication.k8s.io'],
        resources: ['selfsubjectreviews'],
      },
    ],
  },
  tests: [],
}
