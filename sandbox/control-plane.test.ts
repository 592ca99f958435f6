import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { randomBytes, randomUUID } from 'node:crypto'
import { mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { AuditLog } from './audit-log.ts'
import { startControlPlane, type ControlPlane } from './control-plane.ts'
import { kubectlEnvironment, kubectlOutput, runKubectl, type KubectlOptions } from './kubectl.ts'
import { seedWorkload } from './workload.ts'

const transports = [
  { name: 'WebSocket', websockets: 'true' },
  { name: 'SPDY', websockets: 'false' },
]

let controlPlane: ControlPlane
let scratch: string

beforeAll(async () => {
  controlPlane = await startControlPlane()
  scratch = await mkdtemp(join(tmpdir(), 'postern-test-'))
  await seedWorkload(controlPlane)
})

afterAll(async () => {
  await controlPlane.stop()
  await rm(scratch, { recursive: true })
})

function admin(websockets = 'true'): KubectlOptions {
  return {
    kubectl: controlPlane.kubectl,
    kubeconfig: controlPlane.adminKubeconfig,
    env: { KUBECTL_REMOTE_COMMAND_WEBSOCKETS: websockets, KUBECTL_PORT_FORWARD_WEBSOCKETS: websockets },
  }
}

/** A kubectl that goes on, its first line of output, and all its errors so far. */
async function startKubectl(options: KubectlOptions, argv: readonly string[]) {
  const child = spawn(options.kubectl, argv, {
    env: kubectlEnvironment(options),
    stdio: ['pipe', 'pipe', 'pipe'],
  })
  const complaints: string[] = []
  createInterface(child.stderr).on('line', (line) => complaints.push(line))
  const [line] = (await once(createInterface(child.stdout), 'line')) as [string]
  return {
    line,
    stdin: child.stdin,
    complaints,
    async kill() {
      child.kill('SIGKILL')
      await once(child, 'close')
    },
  }
}

/** Command lines of this machine's processes that contain the text. */
async function processesWith(text: string): Promise<string[]> {
  const commands = await Promise.all(
    (await readdir('/proc'))
      .filter((name) => /^\d+$/.test(name))
      .map((pid) => readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')),
  )
  return commands.filter((command) => command.includes(text))
}

test('has one node, which is ready, and the workload on it', async () => {
  expect(await kubectlOutput(admin(), ['get', 'nodes', '--no-headers'])).toMatch(/^node-1 +Ready .*v1\.36/)
  const pods = await kubectlOutput(admin(), ['get', 'pods', '--all-namespaces', '--no-headers'])
  expect(pods.match(/ 1\/1 +Running /g)).toHaveLength(4)
  expect(await kubectlOutput(admin(), ['get', 'widgets', '-o', 'name'])).toBe('widget.example.com/blue\n')
})

describe.each(transports)('over $name', ({ websockets }) => {
  test('exec keeps the exit code, and output and errors apart', async () => {
    const script = 'echo out; echo err >&2; exit 7'
    const result = await runKubectl(admin(websockets), ['exec', 'toolbox', '--', 'sh', '-c', script])
    expect(result).toEqual({ code: 7, stdout: 'out\n', stderr: 'err\ncommand terminated with exit code 7\n' })
  })

  test('exec passes the end of the input on', async () => {
    const input = randomBytes(1 << 20).toString('base64')
    expect(await runKubectl({ ...admin(websockets), input }, ['exec', '-i', 'toolbox', '--', 'cat'])).toEqual({
      code: 0,
      stdout: input,
      stderr: '',
    })
  })

  test('exec says which command there is not', async () => {
    const { code, stderr } = await runKubectl(admin(websockets), ['exec', 'toolbox', '--', 'no-such-command'])
    expect(code).toBe(1)
    expect(stderr).toContain('executable file not found in $PATH')
  })

  test('a client that is gone leaves no process', async () => {
    const seconds = String(100_000 + Math.floor(Math.random() * 800_000))
    const script = `trap "" HUP; echo here; sleep ${seconds} & sleep ${seconds}`
    const client = await startKubectl(admin(websockets), ['exec', 'toolbox', '--', 'sh', '-c', script])
    await expect.poll(() => processesWith(`sleep\0${seconds}`)).toHaveLength(2)
    await client.kill()
    await expect.poll(() => processesWith(seconds)).toEqual([])
  })

  test('cp keeps 5 MB both ways', async () => {
    const [sent, received] = [join(scratch, randomUUID()), join(scratch, randomUUID())]
    await writeFile(sent, randomBytes(5 << 20))
    await kubectlOutput(admin(websockets), ['cp', sent, 'toolbox:copied'])
    await kubectlOutput(admin(websockets), ['cp', 'toolbox:copied', received])
    expect((await readFile(received)).equals(await readFile(sent))).toBe(true)
  })

  test('attach shows the output and passes the input on', async () => {
    const name = `attached-${websockets}`
    const run = [
      'run',
      name,
      '--image=busybox',
      '--restart=Never',
      '--stdin',
      '--attach=false',
      '--command',
      '--',
      'cat',
    ]
    await kubectlOutput(admin(websockets), run)
    await kubectlOutput(admin(websockets), ['wait', '--for=condition=Ready', `pod/${name}`])
    const input = 'typed\n'
    const result = await runKubectl({ ...admin(websockets), input }, ['attach', '--stdin', '--quiet', name])
    expect(result).toEqual({ code: 0, stdout: input, stderr: '' })
    await kubectlOutput(admin(websockets), ['delete', 'pod', name])
  })

  test('port-forward reaches a declared port, and says when one is refused', async () => {
    const forwarded = await startKubectl(admin(websockets), ['port-forward', 'service/web', ':80'])
    const port = /127\.0\.0\.1:(\d+)/.exec(forwarded.line)?.[1] ?? ''
    expect(await (await fetch(`http://127.0.0.1:${port}/`)).text()).toMatch(/^hello from web-/)
    await forwarded.kill()

    const refused = await startKubectl(admin(websockets), ['port-forward', 'pod/toolbox', ':9'])
    const refusedPort = /127\.0\.0\.1:(\d+)/.exec(refused.line)?.[1] ?? ''
    await expect(fetch(`http://127.0.0.1:${refusedPort}/`)).rejects.toThrow()
    await expect.poll(() => refused.complaints.join('\n')).toContain('connection refused')
    await refused.kill()
  })
})

test('logs can be cut, followed, and outlive a restart', async () => {
  const script = 'for i in 1 2 3; do echo line $i; done; echo error >&2; exit 1'
  await kubectlOutput(admin(), ['run', 'logged', '--image=busybox', '--command', '--', 'sh', '-c', script])
  const restarts = ['wait', '--for=jsonpath={.status.containerStatuses[0].restartCount}=1', 'pod/logged']
  await kubectlOutput(admin(), [...restarts, '--timeout=20s'])
  const lines = await kubectlOutput(admin(), ['logs', 'logged', '--previous'])
  expect(lines.split('\n').sort()).toEqual(['', 'error', 'line 1', 'line 2', 'line 3'])
  expect(await kubectlOutput(admin(), ['logs', 'logged', '--limit-bytes=6'])).toHaveLength(6)
  await kubectlOutput(admin(), ['delete', 'pod', 'logged'])

  const followed = await startKubectl(admin(), ['logs', '--follow', '--tail=1', 'deployment/web'])
  expect(followed.line).toMatch(/^(?:up \d+ s|GET \/.*)$/)
  await followed.kill()
})

test('a line longer than the log keeps in one piece comes back whole', async () => {
  const script = 'head -c 100000 /dev/zero | tr "\\0" x'
  const run = ['run', 'long', '--image=busybox', '--restart=Never', '--command', '--', 'sh', '-c', script]
  await kubectlOutput(admin(), run)
  await kubectlOutput(admin(), ['wait', '--for=jsonpath={.status.phase}=Succeeded', 'pod/long'])
  expect(await kubectlOutput(admin(), ['logs', 'long'])).toBe(`${'x'.repeat(100_000)}\n`)
  await kubectlOutput(admin(), ['delete', 'pod', 'long'])
})

test('the API server reaches pods, services and the node', async () => {
  const service = ['get', '--raw', '/api/v1/namespaces/default/services/web:80/proxy/']
  expect(await kubectlOutput(admin(), service)).toMatch(/^hello from web-/)
  const refused = await runKubectl(admin(), ['get', '--raw', '/api/v1/namespaces/default/pods/toolbox:9/proxy/'])
  expect(refused.stderr).toContain('connection refused')
  expect(await kubectlOutput(admin(), ['get', '--raw', '/api/v1/nodes/node-1/proxy/pods'])).toContain('"toolbox"')
})

test('a debug container runs beside the others', async () => {
  const argv = ['debug', 'toolbox', '--image=busybox', '--stdin', '--quiet', '--', 'sh']
  expect(await runKubectl({ ...admin(), input: 'echo from debug; exit\n' }, argv)).toMatchObject({
    stdout: 'from debug\n',
  })
})

test('a deleted pod leaves no process', async () => {
  const seconds = String(100_000 + Math.floor(Math.random() * 800_000))
  const script = `(setsid sleep ${seconds} &) ; sleep ${seconds}`
  await kubectlOutput(admin(), ['run', 'deleted', '--image=busybox', '--command', '--', 'sh', '-c', script])
  await kubectlOutput(admin(), ['wait', '--for=condition=Ready', 'pod/deleted'])
  await expect.poll(() => processesWith(`sleep\0${seconds}`)).toHaveLength(2)
  await kubectlOutput(admin(), ['delete', 'pod', 'deleted'])
  expect(await processesWith(seconds)).toEqual([])
})

test('kubectl top fails clearly', async () => {
  expect(await runKubectl(admin(), ['top', 'pods'])).toMatchObject({
    code: 1,
    stderr: 'error: Metrics API not available\n',
  })
})

test('certificates and tokens are who they say, until they end', async () => {
  const whoami = ['auth', 'whoami', '--output=jsonpath={.status.userInfo.username} {.status.userInfo.groups[0]}']
  const ana = await controlPlane.clientCertificate({ username: 'ana@example.com', groups: ['payments-dev'] })
  expect(await kubectlOutput({ ...admin(), kubeconfig: ana.kubeconfig }, whoami)).toBe('ana@example.com payments-dev')
  expect(await runKubectl({ ...admin(), kubeconfig: ana.kubeconfig }, ['get', 'pods'])).toMatchObject({ code: 1 })

  const expired = await controlPlane.clientCertificate({ username: 'ana@example.com', expiresInSeconds: -60 })
  const refused = await runKubectl({ ...admin(), kubeconfig: expired.kubeconfig }, ['get', 'pods'])
  expect(refused.stderr).toContain('Unauthorized')

  const token = await controlPlane.serviceAccountToken({ namespace: 'payments', name: 'default' })
  const robot = { ...admin(), kubeconfig: await controlPlane.tokenKubeconfig(token) }
  expect(await kubectlOutput(robot, whoami)).toBe('system:serviceaccount:payments:default system:serviceaccounts')
})

test('the audit log shows what the API server saw, and nothing else', async () => {
  const audit = new AuditLog(controlPlane)
  await audit.read()
  const bob = await controlPlane.clientCertificate({ username: 'bob' })
  await runKubectl({ ...admin(), kubeconfig: bob.kubeconfig }, ['get', 'secrets', '--namespace=payments'])
  const seen = (await audit.read()).filter((event) => event.user.username === 'bob')
  expect(seen.map((event) => `${event.stage} ${event.verb} ${event.responseStatus?.code ?? ''}`)).toEqual(
    expect.arrayContaining(['RequestReceived list ', 'ResponseComplete list 403']),
  )
  expect((await audit.read()).filter((event) => event.user.username === 'bob')).toEqual([])
})

test('the death of whoever started it ends everything', async () => {
  const starter = spawn(process.execPath, ['--input-type=module'], { stdio: ['pipe', 'pipe', 'inherit'] })
  starter.stdin.end(`
    import { startControlPlane } from ${JSON.stringify(new URL('control-plane.ts', import.meta.url).href)}
    const { directory } = await startControlPlane()
    console.log(directory)
  `)
  const [directory] = (await once(createInterface(starter.stdout), 'line')) as [string]
  expect((await processesWith(directory)).length).toBeGreaterThan(5)
  starter.kill('SIGKILL')
  await expect.poll(() => processesWith(directory)).toEqual([])
  await sleep(100)
  await expect(readdir(directory)).rejects.toThrow('ENOENT')
})
