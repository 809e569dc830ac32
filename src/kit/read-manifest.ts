import { isAlias, isMap, isNode, isScalar, isSeq, LineCounter, parseDocument, type Document } from 'yaml';
import type { z } from 'zod';
import { ClonaError } from '../errors.ts';
import { manifestFile, manifestSchema, type KitManifest } from './manifest.ts';

export interface KitProblem {
  file: string;
  /** From 1; null where the whole file is meant. */
  line: number | null;
  message: string;
}

const longestManifestBytes = 2 ** 20;

/** Keys people spell with a dash, as the vendor's language has it. */
const spellings: Readonly<Record<string, string>> = {
  'from-versions': 'fromVersions',
  'version-file': 'versionFile',
  'lock-timeout': 'lockTimeout',
};

/** Reads the text of a kit.yaml; every mistake comes with its line. */
export function parseManifest(text: string): { manifest: KitManifest } | { problems: KitProblem[] } {
  if (Buffer.byteLength(text) > longestManifestBytes)
    return { problems: [problem(null, 'is larger than 1 MiB')] };
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false, stringKeys: true });
  const lineAt = (offset: number | undefined): number | null =>
    offset === undefined ? null : lines.linePos(offset).line;
  if (document.errors.length > 0) {
    return {
      problems: document.errors.map((error) => problem(lineAt(error.pos[0]), firstLine(error.message))),
    };
  }
  if (!isMap(document.contents)) return { problems: [problem(1, 'expected name, version and steps')] };
  const renamed = prepare(document);
  if (renamed.length > 0)
    return { problems: renamed.map(({ offset, message }) => problem(lineAt(offset), message)) };
  let value: unknown;
  try {
    value = document.toJS({ maxAliasCount: 100 });
  } catch (error) {
    return { problems: [problem(null, error instanceof Error ? error.message : String(error))] };
  }
  const parsed = manifestSchema.safeParse(value);
  if (parsed.success) return { manifest: parsed.data };
  return { problems: parsed.error.issues.flatMap((issue) => explainIssue(issue, document, lineAt)) };
}

export function manifestError(problems: readonly KitProblem[]): ClonaError {
  const [first] = problems;
  const where = first === undefined ? manifestFile : showProblem(first);
  const more = problems.length > 1 ? ` (and ${problems.length - 1} more)` : '';
  return new ClonaError('kitInvalid', `${where}${more}`, {
    hint: 'see docs/how-to/kits.md for the form of a kit; clona kit check lists everything',
    details: { problems },
  });
}

export function showProblem({ file, line, message }: KitProblem): string {
  return line === null ? `${file}: ${message}` : `${file}:${line}: ${message}`;
}

function problem(line: number | null, message: string): KitProblem {
  return { file: manifestFile, line, message };
}

/**
 * Takes both spellings of a key, and reads versions as they are written: unquoted, YAML would make 2.10 the
 * number 2.1.
 */
function prepare(document: Document): { offset: number | undefined; message: string }[] {
  const problems: { offset: number | undefined; message: string }[] = [];
  const root = document.contents;
  if (!isMap(root)) return problems;
  const steps = root.get('steps', true);
  const maps = [root, ...(isSeq(steps) ? steps.items : [])].filter((item) => isMap(item));
  for (const map of maps) {
    for (const pair of map.items) {
      if (!isScalar(pair.key) || typeof pair.key.value !== 'string') continue;
      const other = spellings[pair.key.value];
      if (other === undefined) continue;
      if (map.has(other)) {
        problems.push({ offset: pair.key.range?.[0], message: `${pair.key.value}: is given twice` });
      } else pair.key.value = other;
    }
  }
  const from = root.get('fromVersions', true);
  for (const node of [root.get('version', true), ...(isSeq(from) ? from.items : [])]) {
    if (isScalar(node) && typeof node.value === 'number' && node.source !== undefined)
      node.value = node.source;
  }
  return problems;
}

function explainIssue(
  issue: z.core.$ZodIssue,
  document: Document,
  lineAt: (offset: number | undefined) => number | null,
): KitProblem[] {
  const path = issue.path.filter((part) => typeof part !== 'symbol');
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map((key) => {
      const allowed =
        path.length === 0 ? manifestKeys : path[0] === 'steps' && path.length === 2 ? stepKeys : null;
      const hint = allowed === null ? '' : `; allowed: ${allowed}`;
      return problem(lineAt(keyOffset(document, path, key)), `${show([...path, key])}: unknown key${hint}`);
    });
  }
  // A union names only that nothing fitted; what its branches say is closer to the mistake.
  if (issue.code === 'invalid_union') {
    const deepest = issue.errors.flat().filter((inner) => inner.path.length > 0 || inner.code === 'custom');
    if (deepest[0] !== undefined) {
      return explainIssue({ ...deepest[0], path: [...issue.path, ...deepest[0].path] }, document, lineAt);
    }
  }
  const missing = issue.code === 'invalid_type' && document.getIn(path, true) === undefined;
  const message = missing ? `${show(path)}: is missing` : `${show(path)}: ${firstLine(issue.message)}`;
  return [problem(lineAt(offsetOf(document, path)), message.replace(/^: /, ''))];
}

const manifestKeys = 'name, version, fromVersions, description, versionFile, steps';
const stepKeys = 'name, sql, run, service, files, timeout, repeatable, transaction, lockTimeout';

/** Where the value is, or the nearest thing around it that is there. */
function offsetOf(document: Document, path: readonly (string | number)[]): number | undefined {
  for (let length = path.length; length >= 0; length -= 1) {
    const node: unknown = length === 0 ? document.contents : document.getIn(path.slice(0, length), true);
    if (isNode(node) && !isAlias(node) && node.range) return node.range[0];
  }
  return undefined;
}

function keyOffset(document: Document, path: readonly (string | number)[], key: string): number | undefined {
  const map: unknown = path.length === 0 ? document.contents : document.getIn(path, true);
  if (!isMap(map)) return offsetOf(document, path);
  const pair = map.items.find((item) => isScalar(item.key) && item.key.value === key);
  return pair !== undefined && isScalar(pair.key) ? pair.key.range?.[0] : offsetOf(document, path);
}

function show(path: readonly (string | number)[]): string {
  return path
    .map((part, index) => (typeof part === 'number' ? `[${part}]` : index === 0 ? part : `.${part}`))
    .join('');
}

function firstLine(text: string): string {
  return text.split('\n')[0] ?? text;
}
