/** A part of an expression as it was parsed. */
interface Node {
  readonly op: string
  readonly args: unknown
}

/** The nodes of a syntax tree. Arguments of macros are among them as they were written. */
export function* nodesOf(tree: unknown): Generator<Node> {
  if (Array.isArray(tree)) for (const entry of tree) yield* nodesOf(entry)
  else if (isNode(tree)) {
    yield tree
    yield* nodesOf(tree.args)
  }
}

/** The name first where there is one. Calls have a list, which may be written to. */
export function operandsOf({ args }: Node): unknown[] {
  return Array.isArray(args) ? args : [args]
}

export function isNode(value: unknown): value is Node {
  return typeof value === 'object' && value !== null && 'op' in value && 'args' in value
}

/** Fields that are named behind the variable; null when it stands somewhere else, too. */
export function fieldsRead(tree: unknown, variable: string): ReadonlySet<string> | null {
  const names = new Set<string>()
  let named = 0
  let occurrences = 0
  for (const node of nodesOf(tree)) {
    if (isVariable(node, variable)) occurrences += 1
    const [operand, field] = operandsOf(node)
    const name = isVariable(operand, variable) ? fieldName(node.op, field) : undefined
    if (name === undefined) continue
    named += 1
    names.add(name)
  }
  return named === occurrences ? names : null
}

function isVariable(node: unknown, variable: string): boolean {
  return isNode(node) && node.op === 'id' && node.args === variable
}

function fieldName(op: string, operand: unknown): string | undefined {
  if (op === '.' || op === '.?') return typeof operand === 'string' ? operand : undefined
  const literal = (op === '[]' || op === '[?]') && isNode(operand) && operand.op === 'value' ? operand.args : undefined
  return typeof literal === 'string' ? literal : undefined
}

/** What text begins with. `whole` when nothing follows. */
interface Beginning {
  readonly text: string
  readonly whole: boolean
}

const ANYTHING: readonly Beginning[] = [{ text: '', whole: false }]

/**
 * What the text that an expression gives begins with, or each text of the list that it gives, one entry for each way it may
 * go; `''` where only the claims tell. Nothing for what gives no text.
 */
export function beginningsOf(tree: unknown): readonly string[] {
  return [...new Set(walk(tree).flatMap(({ text, whole }) => (whole && text === '' ? [] : [text])))]
}

function walk(node: unknown): readonly Beginning[] {
  if (!isNode(node)) return ANYTHING
  const operands = operandsOf(node)
  switch (node.op) {
    case 'value':
      return typeof node.args === 'string' ? [{ text: node.args, whole: true }] : []
    case 'list':
      return operands.flatMap(walk)
    case '?:':
      return operands.slice(1).flatMap(walk)
    case '+':
      return sum(operands)
    case 'rcall':
      return called(operands)
    default:
      return ANYTHING
  }
}

/** One text after the other, or one list. */
function sum([left, right]: readonly unknown[]): readonly Beginning[] {
  if (!isText(left)) return isText(right) ? ANYTHING : [...walk(left), ...walk(right)]
  const [next = ANYTHING[0], ...others] = walk(right)
  const { text, whole } = others.length === 0 && next !== undefined ? next : { text: '', whole: false }
  return walk(left).map((first) => (first.whole ? { text: first.text + text, whole } : first))
}

function isText(node: unknown): boolean {
  if (!isNode(node)) return false
  const operands = operandsOf(node)
  if (node.op === 'value') return typeof node.args === 'string'
  if (node.op === '+') return operands.some(isText)
  return node.op === '?:' && operands.slice(1).every(isText)
}

/** Macros that give what one of their arguments gives. */
function called([name, receiver, parameters]: readonly unknown[]): readonly Beginning[] {
  if (name === 'filter') return walk(receiver)
  const namespace = isNode(receiver) && receiver.op === 'id' && receiver.args === 'cel'
  const given = name === 'map' || (name === 'bind' && namespace)
  return given && Array.isArray(parameters) ? walk(parameters.at(-1)) : ANYTHING
}
