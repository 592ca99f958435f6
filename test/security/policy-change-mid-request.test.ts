import { rename, writeFile } from 'node:fs/promises'
import type { ServerResponse } from 'node:http'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { attackedGateway, EVERYTHING, FORBIDDEN, NAMESPACE } from '../support/attacked-gateway.ts'

// Attack H9.
//
// A request that is decided under one policy and carried out, or recorded, under another.

const attacked = attackedGateway({ policy: EVERYTHING })

async function replacePolicy(text: string): Promise<void> {
  const path = join(attacked.gateway.directory, 'policy.yaml')
  await writeFile(`${path}.new`, text)
  await rename(`${path}.new`, path)
}

test('a request keeps the revision it was decided under, and the next is decided under the new one', async () => {
  const asked = new Promise<ServerResponse>((resolve) => {
    attacked.apiServer.onRequest = (_request, response) => {
      resolve(response)
    }
  })
  const under = attacked.send('HTTP/1.1', { target: `${NAMESPACE}/pods` })
  const held = await asked
  attacked.forget()
  await replacePolicy(EVERYTHING.replace('payments-dev', 'nobody'))
  const statusOfNext = async (): Promise<number> => {
    const answer = await attacked.send('HTTP/1.1', { target: `${NAMESPACE}/pods/next` })
    return 'statusCode' in answer ? answer.statusCode : 0
  }
  await expect.poll(statusOfNext).toBe(403)
  attacked.seen.length = 0
  const denied = await attacked.expectRefused(
    await attacked.send('HTTP/1.1', { target: `${NAMESPACE}/pods` }),
    FORBIDDEN,
  )

  held.end('{"items":[]}')
  const answer = await under
  expect(answer).toMatchObject({ statusCode: 200 })
  const allowed = await attacked.eventOf('headers' in answer ? (answer.headers['audit-id'] ?? '') : '')
  const revision = (event: typeof denied): string | undefined => event.annotations['postern.dev/policy-revision']
  expect(allowed.annotations['postern.dev/decision']).toBe('allow')
  expect(denied.annotations['postern.dev/decision']).toBe('no-opinion')
  expect(revision(allowed)).toMatch(/^sha256:/)
  expect(revision(denied)).toMatch(/^sha256:/)
  expect(revision(allowed)).not.toBe(revision(denied))
})
