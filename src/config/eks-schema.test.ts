import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { inspect } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createCertificateAuthority } from '../../sandbox/certificates.ts'
import { renderMistake } from '../document/document.ts'
import { Secret } from '../document/secret.ts'
import { type InspectedConnector, inspectConnectorConfig } from './load-connector-config.ts'

let directory: string
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'postern-eks-config-'))
  const { cert, key } = createCertificateAuthority().issueServer({ hosts: ['kube.example.com', 'postern.example.com'] })
  for (const [name, content] of [
    ['tls.crt', cert],
    ['tls.key', key],
    ['policy.yaml', ''],
    ['empty', '\n'],
    ['secret', 'hunter2'],
  ] as const) {
    writeFileSync(join(directory, name), content)
  }
})
afterAll(() => {
  rmSync(directory, { recursive: true })
})

function inspectEks(eks: string): Promise<InspectedConnector> {
  const path = join(directory, 'connector.yaml')
  writeFileSync(
    path,
    `apiVersion: postern.dev/v1alpha1
kind: Connector
listen:
  kubernetes: { tls: { certificate: tls.crt, key: tls.key }, publicURL: 'https://kube.example.com' }
  portal: { tls: { certificate: tls.crt, key: tls.key }, publicURL: 'https://postern.example.com' }
identity:
  issuers:
  - issuer: { url: 'https://sso.example.com', audiences: [postern] }
    client: { id: postern }
    claimMappings: { username: { claim: sub, prefix: 'sso:' } }
sockets:
- name: production
  upstream:
    eks: ${eks}
policies: [policy.yaml]
audit: { trail: { stdout: {} } }
`,
  )
  return inspectConnectorConfig(path, {
    home: directory,
    environment: { KEY: 'AKIA', TOKEN: 'hunter3' },
    nowMs: Date.now(),
  })
}

describe('an eks upstream', () => {
  test('needs a cluster and a region', async () => {
    const { config, mistakes } = await inspectEks('{ cluster: prod, region: eu-west-1 }')
    expect(mistakes).toEqual([])
    expect(config?.sockets[0]?.upstream).toEqual({
      kind: 'eks',
      cluster: 'prod',
      region: 'eu-west-1',
      fips: false,
      credentials: { kind: 'ambient' },
      assumeRole: undefined,
    })
  })

  test('may say everything, and prints no secret', async () => {
    const { config } = await inspectEks(`
      cluster: prod_1
      region: us-gov-west-1
      fips: true
      credentials:
        keys: { accessKeyID: { env: KEY }, secretAccessKey: { file: secret }, sessionToken: { env: TOKEN } }
      assumeRole: { roleARN: 'arn:aws-us-gov:iam::123456789012:role/a/b/postern', externalID: 'x:1' }`)
    expect(config?.sockets[0]?.upstream).toEqual({
      kind: 'eks',
      cluster: 'prod_1',
      region: 'us-gov-west-1',
      fips: true,
      credentials: {
        kind: 'keys',
        accessKeyID: { value: new Secret('AKIA') },
        secretAccessKey: { file: join(directory, 'secret') },
        sessionToken: { value: new Secret('hunter3') },
      },
      assumeRole: {
        roleARN: 'arn:aws-us-gov:iam::123456789012:role/a/b/postern',
        externalID: 'x:1',
        sessionName: 'postern',
      },
    })
    expect(inspect(config, { depth: null }) + JSON.stringify(config)).not.toMatch(/hunter/)
  })

  test('may use a profile', async () => {
    const { config } = await inspectEks('{ cluster: a, region: cn-north-1, credentials: { profile: { name: prod } } }')
    expect(config?.sockets[0]?.upstream).toMatchObject({ credentials: { kind: 'profile', name: 'prod' } })
  })

  test.for([
    ['{ region: eu-west-1 }', /eks\.cluster: is missing/],
    ['{ cluster: "../x", region: eu-west-1 }', /eks\.cluster: .*the name of an EKS cluster/],
    ['{ cluster: a, region: evil.example.com }', /eks\.region: .*an AWS region, such as eu-west-1/],
    ['{ cluster: a, region: eu-west-1.x/ }', /eks\.region: /],
    [
      '{ cluster: a, region: eu-west-1, credentials: { ambient: {}, profile: { name: x } } }',
      /eks\.credentials: has ambient and profile/,
    ],
    [
      '{ cluster: a, region: eu-west-1, credentials: { keys: { accessKeyID: { env: KEY } } } }',
      /secretAccessKey: is missing/,
    ],
    [
      '{ cluster: a, region: eu-west-1, credentials: { keys: { accessKeyID: { env: NONE }, secretAccessKey: { file: empty } } } }',
      /accessKeyID\.env: NONE is not set/,
    ],
    [
      '{ cluster: a, region: eu-west-1, assumeRole: { roleARN: "arn:aws:iam::1:user/x" } }',
      /roleARN: .*the ARN of an IAM role/,
    ],
    [
      '{ cluster: a, region: eu-west-1, assumeRole: { roleARN: "arn:aws:iam::123456789012:role/x", sessionName: "a b" } }',
      /sessionName: /,
    ],
    [
      '{ cluster: a, region: eu-west-1, fips: true }',
      /eks\.fips: AWS has no such endpoints in this region, expected false, or one of the regions us-east-1, us-east-2, .*us-gov-west-1$/,
    ],
    ['{ cluster: a, region: ca-central-1, fips: true }', /eks\.fips: AWS has no such endpoints/],
    ['{ cluster: a, region: eu-west-1, endpoint: "http://x" }', /eks\.endpoint: unknown key/],
  ] as const)('refuses %s', async ([eks, expected]) => {
    const { config, mistakes } = await inspectEks(eks)
    expect(config).toBeNull()
    expect(mistakes.map(renderMistake).join('\n')).toMatch(expected)
  })
})
