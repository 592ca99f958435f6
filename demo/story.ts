import { readFile } from 'node:fs/promises'
import { runKubectl } from '../sandbox/kubectl.ts'
import { runPostern } from '../sandbox/postern.ts'
import type { Cluster } from './cluster.ts'
import type { Stage } from './stage.ts'
import { command, heading, line, verdict } from './terminal.ts'

interface Step {
  readonly person: 'ana' | 'omar'
  readonly args: readonly string[]
  readonly exitCode: number
  /** What standard output or standard error has to show. */
  readonly shows: RegExp
  readonly because: string
}

const EVERYWHERE: readonly Step[] = [
  { person: 'ana', args: ['get', 'pods'], exitCode: 0, shows: /NAME|No resources/, because: 'a rule allows it' },
  {
    person: 'ana',
    args: ['get', 'secrets'],
    exitCode: 1,
    shows: /Error from server \(Forbidden\): .*payments-developers#5 denies it.*\(audit id [0-9a-f-]{36}\)/,
    because: 'a rule denies it; the answer names the rule, and an audit id to quote',
  },
  {
    person: 'omar',
    args: ['delete', 'pod', 'nobody'],
    exitCode: 1,
    shows: /no rule allows it.*\{ verbs: \[delete\], resources: \[pods\], namespaces: \[default\] \}/,
    because: 'no rule allows it; the answer says which one is missing',
  },
  {
    person: 'ana',
    args: ['auth', 'can-i', 'list', 'pods'],
    exitCode: 0,
    shows: /^yes/,
    because: 'the gateway answers for itself',
  },
  {
    person: 'omar',
    args: ['auth', 'can-i', 'create', 'pods/exec'],
    exitCode: 1,
    shows: /^no/,
    because: 'and says no as it would act',
  },
  {
    person: 'omar',
    args: ['auth', 'whoami'],
    exitCode: 0,
    shows: /omar@example\.com/,
    because: 'the name that the policy sees',
  },
]

const SEEDED: readonly Step[] = [
  {
    person: 'ana',
    args: ['exec', 'deploy/web', '--', 'sh', '-c', 'echo hello from $(pwd | wc -c) characters deep; exit 7'],
    exitCode: 7,
    shows: /hello from/,
    because: 'exec works, exit codes come back',
  },
  {
    person: 'omar',
    args: ['exec', 'deploy/web', '--', 'id'],
    exitCode: 1,
    shows: /cannot create resource "pods\/exec"/,
    because: 'Omar may look, not enter',
  },
  { person: 'ana', args: ['logs', 'deploy/web', '--tail=1'], exitCode: 0, shows: /\S/, because: 'logs stream' },
  {
    person: 'ana',
    args: ['scale', 'deploy/web', '--replicas=3'],
    exitCode: 0,
    shows: /scaled/,
    because: 'a subresource that a rule names',
  },
  {
    person: 'ana',
    args: ['get', 'pods', '-n', 'payments'],
    exitCode: 1,
    shows: /lacks namespace "payments"/,
    because: 'the nearest rule is for another namespace',
  },
  {
    person: 'omar',
    args: ['get', 'deployments', '-A'],
    exitCode: 0,
    shows: /ledger/,
    because: 'a rule without namespaces holds in all',
  },
]

/** Plays the story and says of each step whether it held. */
export async function play(stage: Stage, cluster: Cluster): Promise<boolean> {
  heading('What they may do')
  let held = true
  for (const step of [...EVERYWHERE, ...(cluster.seeded ? SEEDED : [])]) {
    const args = ['--context', `${step.person}@production`, ...step.args]
    command(`kubectl ${args.map(quoted).join(' ')}`)
    const { code, stdout, stderr } = await runKubectl({ kubectl: cluster.kubectl, kubeconfig: stage.kubeconfig }, args)
    line(`${stdout}${stderr}`.trimEnd())
    const asExpected = code === step.exitCode && step.shows.test(`${stdout}${stderr}`)
    verdict(asExpected, `${step.because} (exit code ${code})`)
    held &&= asExpected
  }
  if (cluster.seeded) held = (await playBack(stage)) && held
  heading('What was kept of it')
  const kept = await denialsKept(stage.connector.auditLog)
  line(kept)
  verdict(kept !== '', 'every request left one event, denials included')
  return held && kept !== ''
}

/** Lists Ana's recordings and plays the shell that she ran, as an auditor would. */
async function playBack({ asAna }: Stage): Promise<boolean> {
  heading('What a session showed')
  const shown = async (args: readonly string[]) => {
    command(`postern ${args.map(quoted).join(' ')}`)
    const { stdout, stderr } = await runPostern([...args, ...asAna])
    line(`${stdout}${stderr}`.trimEnd())
    return stdout
  }
  const listed = await shown(['recordings', 'list'])
  const id = /^[0-9a-f]+\S*/m.exec(listed)?.[0] ?? 'none'
  const played = await shown(['recordings', 'play', id])
  const held = played.includes('hello from')
  verdict(held, 'the shell was recorded, and plays')
  return held
}

/** The last denial in the trail; empty when there is none. */
async function denialsKept(auditLog: string): Promise<string> {
  const lines = (await readFile(auditLog, 'utf8')).trimEnd().split('\n')
  return lines.findLast((event) => event.includes('"authorization.k8s.io/decision":"forbid"')) ?? ''
}

function quoted(word: string): string {
  return /^[\w@:=.,/-]+$/.test(word) ? word : `'${word}'`
}
