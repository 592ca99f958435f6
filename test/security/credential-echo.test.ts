import { describe, expect, test } from 'vitest'
import {
  attackedGateway,
  EVERYTHING,
  NAMESPACE,
  namesOf,
  PROTOCOLS,
  SOCKET,
  valuesOf,
} from '../support/attacked-gateway.ts'

// Attack B18.
//
// The connector's credential may reach the API server and nobody else; the client's may reach nobody behind the
// gateway, whatever stands behind the API server: an aggregated API, a kubelet, a page behind `proxy`.

const attacked = attackedGateway({ policy: EVERYTHING })

describe.each(PROTOCOLS)('over %s', (protocol) => {
  test.each([
    `${NAMESPACE}/services/web/proxy/echo`,
    `${NAMESPACE}/pods/web/proxy/echo`,
    `${SOCKET}/api/v1/nodes/n1/proxy/pods`,
    `${SOCKET}/apis/metrics.k8s.io/v1beta1/nodes`,
  ])('%s sees no token of the client, and ours once', async (target) => {
    const { token } = attacked.gateway
    const lines = [
      ['Proxy-Authorization', `Bearer ${token}`],
      ['X-Auth-Token', token],
      ['Cookie', `session=${token}`],
    ] as const
    const seen = attacked.expectForwarded(await attacked.send(protocol, { target, lines }))
    expect(namesOf(seen)).toEqual(['audit-id', 'authorization', 'host'])
    expect(valuesOf(seen, 'authorization')).toEqual([`Bearer ${attacked.apiServer.token}`])
    expect(JSON.stringify(seen)).not.toContain(token)
  })
})
