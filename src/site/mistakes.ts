import type { Document, LineCounter } from 'yaml';
import { isMap, isNode, isPair, isSeq } from 'yaml';
import type { z } from 'zod';
import { nearestWord } from './nearest-word.ts';
import { isSecretTitle } from './fields.ts';

/** One mistake in a site file. The values of keys are not in it: they might be secrets. */
export interface Mistake {
  line: number;
  column: number;
  /** `archive.zone.yellow`, `departments[0].name`; empty for the file as a whole. */
  key: string;
  /** What is wrong: one lowercase phrase. */
  problem: string;
  allowed?: string | undefined;
  hint?: string | undefined;
}

type Path = readonly PropertyKey[];
type JsonSchema = z.core.JSONSchema.BaseSchema;

/** Turns what zod found into mistakes with their place in the text, in the order of the text. */
export function describeMistakes(
  issues: readonly z.core.$ZodIssue[],
  document: Document,
  lines: LineCounter,
  schema: JsonSchema,
): Mistake[] {
  const found = issues.flatMap((issue): Mistake[] => {
    if (issue.code !== 'unrecognized_keys') {
      return [
        {
          ...place(document, lines, issue.path),
          key: showPath(issue.path),
          ...explain(issue, schema, document),
        },
      ];
    }
    const allowed = Object.keys(schemaAt(schema, issue.path)?.properties ?? {});
    return issue.keys.map((key) => {
      const near = nearestWord(key, allowed) ?? findElsewhere(schema, key);
      return {
        ...place(document, lines, [...issue.path, key], true),
        key: showPath([...issue.path, key]),
        problem: 'unknown key',
        hint: near === undefined ? undefined : `did you mean "${near}"?`,
        allowed: allowed.join(', '),
      };
    });
  });
  return found.sort((left, right) => left.line - right.line || left.column - right.column);
}

function explain(
  issue: z.core.$ZodIssue,
  schema: JsonSchema,
  document: Document,
): Pick<Mistake, 'problem' | 'allowed' | 'hint'> {
  if (issue.code === 'custom') return { problem: issue.message };
  const field = schemaAt(schema, issue.path);
  const allowed = describeAllowed(field);
  const given = valueAt(document, issue.path);
  if (given === undefined || given === null) return { problem: 'is missing', allowed };
  if (isSecretTitle(field?.title)) {
    return {
      problem: 'a secret never stands in the site file',
      allowed,
      hint: 'put the secret into an environment variable and write env:NAME, or into a file and write file:PATH',
    };
  }
  if (issue.code === 'invalid_type') return { problem: `is ${nameKind(given)}`, allowed };
  return { problem: `is ${showValue(given)}`, allowed };
}

function describeAllowed(field: JsonSchema | undefined): string | undefined {
  if (field === undefined) return undefined;
  if (Array.isArray(field.enum)) return field.enum.map(String).join(', ');
  if (field.const !== undefined) return String(field.const);
  if (field.type === 'object')
    return `a mapping with the keys ${Object.keys(field.properties ?? {}).join(', ')}`;
  if (field.type === 'array') return 'a list, each item on a line of its own after "- "';
  if (field.title === undefined) return typeof field.type === 'string' ? `a ${field.type}` : undefined;
  const examples = Array.isArray(field.examples) ? field.examples.map(String) : [];
  return examples.length === 0 ? field.title : `${field.title}, like ${examples.join(' or ')}`;
}

function schemaAt(schema: JsonSchema, path: Path): JsonSchema | undefined {
  let at: JsonSchema | undefined = schema;
  for (const step of path) {
    const next: unknown = typeof step === 'number' ? at?.items : at?.properties?.[String(step)];
    at = isSchema(next) ? next : undefined;
  }
  return at;
}

function isSchema(value: unknown): value is JsonSchema {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Where a key that stands in the wrong section belongs: `staging.masking`. */
function findElsewhere(schema: JsonSchema, key: string, at: Path = []): string | undefined {
  for (const [name, next] of Object.entries(schema.properties ?? {})) {
    if (!isSchema(next)) continue;
    if (at.length > 0 && name === key) return showPath([...at, name]);
    const found = findElsewhere(next, key, [...at, name]);
    if (found !== undefined) return found;
  }
  return undefined;
}

function nameKind(value: unknown): string {
  if (Array.isArray(value)) return 'a list';
  if (typeof value === 'object') return 'a mapping';
  if (typeof value === 'string') return 'a text';
  if (typeof value === 'boolean') return `the truth value ${value}`;
  return typeof value === 'number' ? `the number ${value}` : `a ${typeof value}`;
}

function showValue(value: unknown): string {
  if (typeof value !== 'string') return nameKind(value);
  // An address may carry a password even where none belongs.
  const shown = /:\/\/[^/]*@/.test(value) ? '…' : value.slice(0, 60);
  return `"${shown}"`;
}

function valueAt(document: Document, path: Path): unknown {
  const value = document.getIn(path);
  return isNode(value) ? value.toJS(document) : value;
}

/** Where a key stands; the nearest thing above it that exists, when it does not. */
function place(
  document: Document,
  lines: LineCounter,
  path: Path,
  wantsKey = false,
): { line: number; column: number } {
  for (let depth = path.length; depth > 0; depth -= 1) {
    const parent = document.getIn(path.slice(0, depth - 1), true);
    const last = path[depth - 1];
    let node: unknown;
    if (isMap(parent) || isSeq(parent)) {
      node = isSeq(parent)
        ? parent.items[Number(last)]
        : parent.items.find(({ key }) => keyText(key) === String(last));
    } else if (depth === 1 && isMap(document.contents)) {
      node = document.contents.items.find(({ key }) => keyText(key) === String(last));
    }
    if (isPair(node)) node = wantsKey || !hasOffset(node.value) ? node.key : node.value;
    if (hasOffset(node)) {
      const { line, col } = lines.linePos(node.range[0]);
      return { line, column: col };
    }
  }
  return { line: 1, column: 1 };
}

function hasOffset(node: unknown): node is { range: [number, number, number] } {
  return isNode(node) && Array.isArray(node.range) && node.range[0] < node.range[1];
}

function keyText(key: unknown): string {
  return isNode(key) && 'value' in key ? String(key.value) : String(key);
}

function showPath(path: Path): string {
  return path
    .map((step, index) =>
      typeof step === 'number' ? `[${step}]` : `${index === 0 ? '' : '.'}${String(step)}`,
    )
    .join('');
}
