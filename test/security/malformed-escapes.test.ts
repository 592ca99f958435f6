import { describe, test } from 'vitest'
import { attackedGateway, BAD_REQUEST, EVERYTHING, NAMESPACE, PROTOCOLS } from '../support/attacked-gateway.ts'

// Attack A7.
//
// Parsers differ in what they make of `%zz`: some keep it, some drop the parameter, some the whole query.

const attacked = attackedGateway({ policy: EVERYTHING })

describe.each(PROTOCOLS)('over %s', (protocol) => {
  test.each([
    `${NAMESPACE}/pods/%`,
    `${NAMESPACE}/pods/%z`,
    `${NAMESPACE}/pods/%zz`,
    `${NAMESPACE}/pods/a%2`,
    `${NAMESPACE}/pods/%u0061`,
    `${NAMESPACE}/pods/%+1`,
    `${NAMESPACE}/pods?watch=%zz`,
    `${NAMESPACE}/pods?watch=1%`,
    `${NAMESPACE}/pods?%zz=1&watch=1`,
    `${NAMESPACE}/pods?fieldSelector=metadata.name%3Dweb%`,
    `${NAMESPACE}/pods?%`,
  ])('%s is refused', async (target) => {
    await attacked.expectRefused(await attacked.send(protocol, { target }), BAD_REQUEST)
  })
})
