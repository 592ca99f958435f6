import { describe, expect, test } from 'vitest'
import { attackedGateway, BAD_REQUEST, EVERYTHING, NAMESPACE, PROTOCOLS } from '../support/attacked-gateway.ts'

// Attack A13.
//
// Kubernetes reads the first of two values, others the last: one is authorized and the other done (the class of CVE-2022-2880).

const attacked = attackedGateway({ policy: EVERYTHING })

describe.each(PROTOCOLS)('over %s', (protocol) => {
  test.each([
    'watch=false&watch=true',
    'watch=1&watch=1',
    'watch=false&%77atch=true',
    'watch&watch',
    'fieldSelector=metadata.name%3Dmine&fieldSelector=metadata.name%3Dyours',
    'fieldSelector=metadata.name%3Dmine&field%53elector=',
    'labelSelector=a%3Db&x=y&labelSelector=',
    'limit=1&limit=100000',
    'continue=a&continue=b',
    'resourceVersion=0&resourceVersion=1',
    'dryRun=All&dryRun=',
    'dryRun=&dryRun=All',
    'sendInitialEvents=true&sendInitialEvents=false',
  ])('a list with %s is refused', async (query) => {
    await attacked.expectRefused(await attacked.send(protocol, { target: `${NAMESPACE}/pods?${query}` }), BAD_REQUEST)
  })

  test.each(['container=a&container=b', 'follow=true&follow=false', 'tailLines=1&tailLines=9'])(
    'a log with %s is refused',
    async (query) => {
      const target = `${NAMESPACE}/pods/web/log?${query}`
      await attacked.expectRefused(await attacked.send(protocol, { target }), BAD_REQUEST)
    },
  )

  test('parameters that may be repeated are sent on in their order', async () => {
    const target = `${NAMESPACE}/pods/web/exec?command=sh&command=-c&command=id&ports=1&ports=2`
    const seen = attacked.expectForwarded(await attacked.send(protocol, { target }))
    expect(seen.target).toBe(target.slice('/sockets/production'.length))
  })
})
