import { createHash, randomBytes } from 'node:crypto'
import { mkdtemp, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { beforeAll, describe, expect, inject, test } from 'vitest'
import { createNamespaces, namespacePair } from './namespaces.ts'
import { SideBySide, masked } from './side-by-side.ts'
import { Terminal } from './terminal.ts'
import { asking, execTransport, portForwardTransport, transportInTrail, transports } from './transports.ts'

const surroundings = inject('surroundings')

/** A shell, two web servers on ports of their own, and a container that says three lines and ends. */
const pods = (namespace: string): string => {
  const pod = (name: string, spec: object) => ({ apiVersion: 'v1', kind: 'Pod', metadata: { name, namespace }, spec })
  const web = (name: string, containerPort: number) => ({
    name,
    image: 'web',
    ports: [{ containerPort }],
    env: [{ name: 'HOSTNAME', value: name }],
  })
  const shell = { name: 'shell', image: 'busybox' }
  const says = 'for i in one two three; do echo $i; sleep 0.2; done'
  const speaker = { name: 'speaker', image: 'busybox', command: ['sh', '-c', says] }
  const listens = 'while read line; do echo "got $line"; echo "bad $line" >&2; done; echo over'
  const listener = { name: 'listener', image: 'busybox', stdin: true, stdinOnce: true, command: ['sh', '-c', listens] }
  const items = [
    pod('tools', { terminationGracePeriodSeconds: 1, containers: [shell, web('first', 8080), web('second', 8081)] }),
    pod('speaker', { restartPolicy: 'Never', containers: [speaker] }),
    ...transports.map((each) =>
      pod(`listener-${each.toLowerCase()}`, { restartPolicy: 'Never', containers: [listener] }),
    ),
  ]
  return JSON.stringify({ apiVersion: 'v1', kind: 'List', items })
}

beforeAll(async () => {
  await createNamespaces(
    surroundings,
    surroundings.kubectls.flatMap((version) => namespacePair(version, 'streams')),
  )
})

for (const version of surroundings.kubectls) {
  describe(`kubectl ${version.version} streams through the gateway as it does directly`, { concurrent: true }, () => {
    const kubectl = new SideBySide(surroundings, version, { as: 'ana', namespaces: namespacePair(version, 'streams') })
    const inShell = ['tools', '--container=shell']

    describe('in order', { concurrent: false }, () => {
      beforeAll(async () => {
        await kubectl.both(async (each) => {
          expect(await each.run(['create', '--filename=-'], { input: pods(each.namespace) })).toMatchObject({ code: 0 })
          const ready = ['wait', '--for=condition=Ready', 'pod/tools', '--timeout=60s']
          expect(await each.run(ready)).toMatchObject({ code: 0 })
        })
      })

      for (const transport of transports) {
        const env = asking(transport)

        test(`exec with an exit code and a separate standard error, asking for ${transport}`, async () => {
          const mark = `mark-${version.minor}-${transport}`
          const script = `echo ${mark}; echo bad >&2; exit 7`
          const { stdout, stderr } = await kubectl.same(['exec', ...inShell, '--', 'sh', '-c', script], {
            env,
            code: 7,
          })
          expect(stdout).toBe(`${mark}\n`)
          expect(stderr).toBe('bad\ncommand terminated with exit code 7\n')
          const carried = await transportInTrail(surroundings.connector.auditLog, mark)
          expect(carried).toBe(execTransport(version, transport))
        })

        test(`exec with bytes on standard input and their end, asking for ${transport}`, async () => {
          const input = randomBytes(3_000_000)
          const argv = ['exec', '--stdin', ...inShell, '--', 'sha256sum']
          const { stdout } = await kubectl.same(argv, { env, input })
          expect(stdout).toBe(`${sha256(input)}  -\n`)
        })

        test(`exec in a terminal that is resized, asking for ${transport}`, async () => {
          const script = 'while :; do stty size; sleep 0.1; done'
          const argv = ['exec', '--stdin', '--tty', ...inShell, '--', 'sh', '-c', script]
          const codes = await kubectl.both(async (each) => {
            await using terminal = await Terminal.open(each, argv, { rows: 31, columns: 101, env })
            await terminal.program.says(/^31 101\r$/m)
            await terminal.resize({ rows: 47, columns: 143 })
            await terminal.program.says(/^47 143\r$/m)
            terminal.program.write('\u0003')
            return await terminal.program.exitCode
          })
          expect(codes).toEqual([130, 130])
        })

        test(`attach, asking for ${transport}`, async () => {
          const argv = ['attach', '--stdin', `listener-${transport.toLowerCase()}`]
          const [direct, gateway] = await kubectl.both(async (each) => {
            await using attached = each.start(argv, env)
            attached.write('hello\n')
            await attached.says(/^got hello$/m)
            await attached.says(/^bad hello$/m, 'stderr')
            attached.closeInput()
            await attached.exitCode
            return attached
          })
          expect(gateway.stdout).toContain('over\n')
          expect(gateway.stdout).toBe(direct.stdout)
          expect(await gateway.exitCode).toBe(await direct.exitCode)
        })

        test(`cp both ways, asking for ${transport}`, async () => {
          const directory = await mkdtemp(join(surroundings.directory, 'cp-'))
          const bytes = randomBytes(1_000_000)
          const [there, back] = [join(directory, 'there'), (side: string) => join(directory, `back-${side}`)]
          await writeFile(there, bytes)
          const name = `copied-${transport}`
          await kubectl.same(['cp', '--container=shell', there, `tools:${name}`], { env })
          await kubectl.both(async (each) => {
            const target = back(each.namespace)
            await each.run(['cp', '--container=shell', `tools:${name}`, target], { env })
            expect(sha256(await readFile(target))).toBe(sha256(bytes))
          })
        })

        test(`port-forward to two ports and to one that is refused, asking for ${transport}`, async () => {
          const begun = new Date()
          const told = await kubectl.both(async (each) => {
            await using forward = each.start(['port-forward', 'pod/tools', ':8080', ':8081', ':9'], env)
            const ports = await Promise.all([8080, 8081, 9].map(async (port) => localPort(forward, port)))
            const [first = 0, second = 0, refused = 0] = ports
            expect(await fetchText(first)).toBe('hello from first\n')
            expect(await fetchText(second)).toBe('hello from second\n')
            await expect(fetchText(refused)).rejects.toThrow()
            await forward.says(/an error occurred forwarding \d+ -> 9: .*connection refused/, 'stderr')
            return /connection refused.*/.exec(masked(forward.stderr, each.namespace))?.[0]
          })
          expect(told[1]).toBe(told[0])
          const uri = `/namespaces/${kubectl.gateway.namespace}/pods/tools/portforward`
          const carried = await transportInTrail(surroundings.connector.auditLog, uri, begun)
          expect(carried).toBe(portForwardTransport(version, transport))
        })
      }

      test('logs, and logs that are followed to their end', async () => {
        const { stdout } = await kubectl.same(['logs', 'speaker', '--follow'])
        expect(stdout).toBe('one\ntwo\nthree\n')
        await kubectl.same(['logs', 'speaker', '--tail=1'])
      })

      test('logs that go on are followed as they come', async () => {
        const argv = ['logs', '--follow', '--container=first', 'tools']
        await kubectl.both(async (each) => {
          await using logs = each.start(argv)
          const [, second = ''] = await logs.says(/^up (\d+) s\n[^]*up \d+ s\n/m)
          await logs.says(new RegExp(`^up ${Number(second) + 2} s$`, 'm'))
        })
      })

      test('run --rm --stdin gives back the exit code', async () => {
        const script = 'read line; echo "got $line"; exit 3'
        const argv = [
          'run',
          'once',
          '--rm',
          '--stdin',
          '--quiet',
          '--restart=Never',
          '--image=busybox',
          '--command',
          '--',
        ]
        const ran = await kubectl.both((each) => each.run([...argv, 'sh', '-c', script], { input: 'hello\n' }))
        expect(ran[1].stdout).toContain('got hello\n')
        expect(ran.map(({ code }) => code)).toEqual([3, 3])
      })

      test('proxy', async () => {
        const bodies = await kubectl.both(async (each) => {
          await using proxy = each.start(['proxy', '--port=0'])
          const [, port] = await proxy.says(/Starting to serve on 127\.0\.0\.1:(\d+)/)
          const path = `/api/v1/namespaces/${each.namespace}/pods/tools`
          return masked(await fetchText(Number(port), path), each.namespace)
        })
        expect(bodies[1]).toContain('"kind":"Pod"')
        expect(bodies[1].length).toBeGreaterThan(500)
      })
    })
  })
}

async function localPort(forward: { says(pattern: RegExp): Promise<RegExpExecArray> }, port: number): Promise<number> {
  const [, local] = await forward.says(new RegExp(`^Forwarding from 127\\.0\\.0\\.1:(\\d+) -> ${port}$`, 'm'))
  return Number(local)
}

async function fetchText(port: number, path = '/'): Promise<string> {
  const response = await fetch(`http://127.0.0.1:${port}${path}`)
  return response.text()
}

function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex')
}
