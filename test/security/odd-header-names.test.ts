import { describe, test } from 'vitest'
import { attackedGateway, BAD_REQUEST, EVERYTHING, NAMESPACE, PROTOCOLS } from '../support/attacked-gateway.ts'

// Attack B5.
//
// Some servers take `_` for `-` in a header's name: `Impersonate_User` passes a filter and is obeyed behind it
// (CVE-2025-64484).

const attacked = attackedGateway({ policy: EVERYTHING, forwardAs: 'subject' })

const NAMES = [
  'Impersonate_User',
  'Impersonate_Group',
  'X_Remote_User',
  'X_Forwarded_Email',
  'X_Forwarded_For',
  'Content_Length',
  'Transfer_Encoding',
  'Authorization_',
  '_',
  'X.Remote.User',
  "X'Y",
  'X~Y',
  'X|Y',
  'X+Y',
]

describe.each(PROTOCOLS)('over %s', (protocol) => {
  test.each(NAMES)('%s is refused', async (name) => {
    const answer = await attacked.send(protocol, { target: `${NAMESPACE}/pods`, lines: [[name, '1']] })
    await attacked.expectRefused(answer, BAD_REQUEST)
  })
})

test.each(['X Y', 'X\tY', 'X\0Y', 'X(Y)', 'X\x80Y', 'X\xe9', 'X{Y}', 'X"Y"', ''])(
  'the name %j is refused as no HTTP/1.1',
  async (name) => {
    await attacked.expectRefused(
      await attacked.writeOnce(attacked.head('GET', `${NAMESPACE}/pods`, [`${name}: 1`])),
      BAD_REQUEST,
    )
  },
)

test.each(['X-Y\x01Z', 'X-Y\x7f', 'X-Y\x00'])('the value %j is refused', async (line) => {
  const head = attacked.head('GET', `${NAMESPACE}/pods`, [`Accept: ${line}`])
  await attacked.expectRefused(await attacked.writeForOne(head), BAD_REQUEST)
})
