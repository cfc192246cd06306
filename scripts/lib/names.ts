/** What public modules export, by their sources, and the names by which documents and comments refer to it. */
import { withoutComments } from "./source.ts"

/** The names that a module exports, and those of the members that its classes and interfaces have. */
export const namesIn = (source: string): ReadonlySet<string> => {
  const bare = withoutComments(source)
  const declared = bare.matchAll(/^export (?:declare |abstract )*(?:const|function|class|type|interface) (\w+)/gm)
  const members = bare.matchAll(/^\s+(?:readonly |get )?(\w+)\??[(:<]/gm)
  const listed = [...bare.matchAll(/^export (?:type )?\{([^}]*)\}/gm)].flatMap(([, list]) =>
    [...list!.matchAll(/(\w+)\s*(?:,|$)/g)].map(([, name]) => name!))
  return new Set([...[...declared, ...members].map(([, name]) => name!), ...listed])
}

export interface Reference {
  /** Counted from 1. */
  readonly line: number
  readonly module: string
  readonly name: string
}

/** The references to members of modules in inline code, such as `Limits.share`. Code in fences is compiled elsewhere. */
export const referencesOf = (text: string): ReadonlyArray<Reference> => {
  let isFenced = false
  return text.split("\n").flatMap((line, index) => {
    if (/^\s*(?:\*\s*)?```/.test(line)) isFenced = !isFenced
    return isFenced ? [] : [...line.matchAll(/`([^`]+)`/g)].flatMap(([, code]) =>
      [...code!.matchAll(/(?<![\w./@-])([A-Z]\w+)\.(\w+)/g)]
        // The name of a file is none.
        .filter(([, , name]) => name !== "ts" && name !== "test" && name !== "md")
        .map(([, module, name]) => ({ line: index + 1, module: module!, name: name! })))
  })
}
