/** The arrows of docs/architecture.md: each room may import only what stands to its right. */
const room = (name) => `^src/${name}/`
const only = (from, allowed) => ({
  name: `${from}-imports-only-${allowed.join('-') || 'nothing'}`,
  severity: 'error',
  from: { path: room(from), pathNot: '[.]test(-d)?[.]ts$' },
  to: { path: '^src/', pathNot: [room(from), ...allowed.map(room)] },
})
const thirdParty = (name, files) => ({
  name: `${name.replace(/[^a-z]+/g, '-')}-lives-behind-one-file`,
  severity: 'error',
  from: { path: '^src/', pathNot: [...files.map((file) => `^src/${file}$`), '[.]test(-d)?[.]ts$'] },
  to: { path: `node_modules/${name}/` },
})

/** @type {import('dependency-cruiser').IConfiguration} */
export default {
  forbidden: [
    { name: 'no-circular', severity: 'error', from: {}, to: { circular: true } },
    { name: 'resolvable', severity: 'error', from: {}, to: { couldNotResolve: true } },
    {
      name: 'kube-imports-only-node',
      severity: 'error',
      from: { path: room('kube'), pathNot: '[.]test(-d)?[.]ts$' },
      to: { pathNot: [room('kube'), '^node:'], dependencyTypesNot: ['core'] },
    },
    only('kube', []),
    only('document', []),
    only('policy', ['kube', 'document']),
    only('identity', ['kube', 'document']),
    only('upstream', ['kube', 'document']),
    only('audit', ['kube', 'document']),
    only('gateway', ['kube', 'policy', 'identity', 'upstream', 'audit']),
    only('portal', ['kube', 'policy', 'identity', 'upstream', 'audit']),
    only('client', ['kube', 'document']),
    only('config', ['kube', 'document', 'policy', 'identity', 'upstream', 'audit']),
    {
      name: 'only-app-and-cli-see-config',
      severity: 'error',
      from: { path: '^src/', pathNot: ['^src/(config|cli|app)/', '^src/app[.]ts$', '[.]test(-d)?[.]ts$'] },
      to: { path: room('config') },
    },
    {
      name: 'only-cli-sees-app',
      severity: 'error',
      from: { path: '^src/', pathNot: ['^src/cli/', '[.]test(-d)?[.]ts$'] },
      to: { path: '^src/app[.]ts$' },
    },
    {
      name: 'only-app-sees-its-parts',
      severity: 'error',
      from: { path: '^src/', pathNot: ['^src/app/', '^src/app[.]ts$'] },
      to: { path: '^src/app/' },
    },
    {
      name: 'parts-of-app-do-not-see-the-cli',
      severity: 'error',
      from: { path: '^src/app/' },
      to: { path: ['^src/(cli|client)/', '^src/app[.]ts$'] },
    },
    {
      name: 'src-stands-alone',
      severity: 'error',
      from: { path: '^src/', pathNot: '[.]test(-d)?[.]ts$' },
      to: { path: '^(sandbox|demo|test|bench|workshop)/' },
    },
    {
      name: 'no-development-packages-in-src',
      severity: 'error',
      from: { path: '^src/', pathNot: '[.]test(-d)?[.]ts$' },
      to: { dependencyTypes: ['npm-dev'], dependencyTypesNot: ['type-only'] },
    },
    thirdParty('casbin', ['policy/casbin.ts']),
    thirdParty('@peculiar/asn1-x509', ['config/certificate-issuer.ts']),
    thirdParty('@marcbachmann/cel-js', ['identity/cel.ts']),
    thirdParty('re2js', ['identity/cel.ts']),
    thirdParty('@aws-sdk/client-s3', ['audit/recording-store/s3-client.ts']),
    thirdParty('openid-client', ['client/issuer.ts']),
    thirdParty('@aws-sdk/client-eks', ['upstream/eks/eks-api.ts']),
    thirdParty('@aws-sdk/credential-providers', ['upstream/eks/aws-credentials.ts']),
    thirdParty('@smithy/signature-v4', ['upstream/eks/caller-identity-token.ts']),
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    enhancedResolveOptions: { exportsFields: ['exports'], conditionNames: ['import', 'node', 'default'] },
  },
}
