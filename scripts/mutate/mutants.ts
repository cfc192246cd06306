/**
 * The mutants of a source: each is one small change that a test should notice. They are made from the syntax tree, so that
 * types, comments and strings stay as they are.
 */
import { parseAst } from "vitest/node"

export interface Mutant {
  /** Where the change begins and ends in the source. */
  readonly start: number
  readonly end: number
  readonly replacement: string
  /** Counted from 1. */
  readonly line: number
}

/** A mutant that no test can notice, with the reason. */
export interface Equivalent {
  readonly file: string
  /** A part of the line. */
  readonly line: string
  /** A part of one of the three lines before it, where several lines of the file are the same. */
  readonly after?: string
  /** What is changed there to what; left out: whatever is changed. */
  readonly change?: ReadonlyArray<readonly [from: string, to?: string]>
  readonly why: string
}

interface Node {
  readonly type: string
  readonly start: number
  readonly end: number
  readonly [property: string]: unknown
}

const isNode = (value: unknown): value is Node =>
  typeof value === "object" && value !== null && "type" in value && typeof value.type === "string" && "start" in value

const operators: Readonly<Record<string, ReadonlyArray<string>>> = {
  "<": ["<=", ">="],
  "<=": ["<", ">"],
  ">": [">=", "<="],
  ">=": [">", "<"],
  "===": ["!=="],
  "!==": ["==="],
  "+": ["-"],
  "-": ["+"],
  "*": ["/"],
  "/": ["*"],
  "%": ["*"],
  "&": ["|"],
  "|": ["&"],
  "^": ["&"],
  "<<": [">>"],
  ">>": ["<<"],
  ">>>": ["<<"],
  "&&": ["||"],
  "||": ["&&"]
}

const assignments: Readonly<Record<string, string>> = {
  "+=": "-=",
  "-=": "+=",
  "*=": "/=",
  "|=": "&=",
  "&=": "|=",
  "^=": "|=",
  "<<=": ">>=",
  ">>=": "<<=",
  "&&=": "=",
  "||=": "=",
  "??=": "="
}

/** Whether an expression is text, where `-` for `+` would only make nonsense. */
const isText = (node: Node): boolean =>
  (node.type === "Literal" && typeof node["value"] === "string") || node.type === "TemplateLiteral" ||
  (node.type === "BinaryExpression" && (isText(node["left"] as Node) || isText(node["right"] as Node)))

export const mutantsOf = (source: string): Array<Mutant> => {
  const mutants: Array<Mutant> = []
  const starts = [0]
  for (let at = source.indexOf("\n"); at >= 0; at = source.indexOf("\n", at + 1)) starts.push(at + 1)
  const lineAt = (offset: number): number => {
    let line = 0
    while (line + 1 < starts.length && starts[line + 1]! <= offset) line++
    return line + 1
  }
  const replace = (start: number, end: number, replacement: string): void => {
    if (source.slice(start, end) !== replacement) mutants.push({ start, end, replacement, line: lineAt(start) })
  }
  const text = (node: Node): string => source.slice(node.start, node.end)
  /** The operator between two operands, wherever spaces and comments are. */
  const swap = (left: Node, right: Node, operator: string, others: ReadonlyArray<string>): void => {
    const at = source.indexOf(operator, left.end)
    if (at < 0 || at >= right.start) return
    for (const other of others) replace(at, at + operator.length, other)
  }
  const decide = (test: Node, outcomes: ReadonlyArray<string>): void => {
    if (test.type === "Literal") return
    for (const outcome of outcomes) replace(test.start, test.end, outcome)
  }

  const visit = (node: Node): void => {
    if (node.type.startsWith("TS") && node["expression"] === undefined) return
    switch (node.type) {
      case "BinaryExpression":
      case "LogicalExpression": {
        const operator = node["operator"] as string
        const [left, right] = [node["left"] as Node, node["right"] as Node]
        if (operator === "??") replace(node.start, node.end, text(right))
        else if (!isText(node)) swap(left, right, operator, operators[operator] ?? [])
        break
      }
      case "AssignmentExpression": {
        const operator = node["operator"] as string
        const other = assignments[operator]
        if (other !== undefined) swap(node["left"] as Node, node["right"] as Node, operator, [other])
        break
      }
      case "UpdateExpression": {
        const operator = node["operator"] as string
        const at = node["prefix"] === true ? node.start : node.end - 2
        replace(at, at + 2, operator === "++" ? "--" : "++")
        break
      }
      case "UnaryExpression":
        if (["!", "-", "~"].includes(node["operator"] as string)) replace(node.start, node.start + 1, "")
        break
      case "ConditionalExpression":
      case "IfStatement":
        decide(node["test"] as Node, ["true", "false"])
        break
      case "WhileStatement":
      case "DoWhileStatement":
        decide(node["test"] as Node, ["false"])
        break
      case "ForStatement":
        if (isNode(node["test"])) decide(node["test"], ["false"])
        break
      case "Literal":
        if (typeof node["value"] === "number") replace(node.start, node.end, String(node["value"] + 1))
        else if (typeof node["value"] === "boolean") replace(node.start, node.end, String(!node["value"]))
        break
      case "ExpressionStatement": {
        const { type } = node["expression"] as Node
        if (type === "CallExpression" || type === "AssignmentExpression" || type === "AwaitExpression") {
          replace(node.start, node.end, "void 0")
        }
        break
      }
      case "ImportDeclaration":
      case "ExportAllDeclaration":
        return
    }
    for (const [name, value] of Object.entries(node)) {
      if (name === "typeAnnotation" || name === "typeArguments" || name === "typeParameters" || name === "returnType") continue
      if (Array.isArray(value)) value.filter(isNode).forEach(visit)
      else if (isNode(value)) visit(value)
    }
  }
  visit(parseAst(source, { lang: "ts" }) as unknown as Node)
  return mutants.sort((a, b) => a.start - b.start || a.end - b.end)
}
