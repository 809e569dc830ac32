import { isMap, LineCounter, parseDocument } from 'yaml';
import { z } from 'zod';
import { describeMistakes, type Mistake } from './mistakes.ts';
import { createSiteSchema, type SiteSections } from './schema.ts';

/** The text of a site file as a site, or everything that is wrong with it. Relative paths count from `folder`. */
export function parseSite(text: string, folder: string): { site: SiteSections } | { mistakes: Mistake[] } {
  const lines = new LineCounter();
  // Pretty errors would quote lines of the file, and with them perhaps a secret.
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false, stringKeys: true });
  // A warning is a tag that nobody knows: what stands behind it means something else to whoever wrote it.
  const refused = [...document.errors, ...document.warnings];
  if (refused.length > 0) {
    const mistakes = refused.map(({ message, pos }): Mistake => {
      const { line, col } = lines.linePos(pos[0]);
      return { line, column: col, key: '', problem: `is not YAML: ${lowerFirst(firstLine(message))}` };
    });
    return { mistakes };
  }
  if (!isMap(document.contents)) {
    const problem = text.trim() === '' ? 'the file is empty' : 'the file is not a mapping of keys to values';
    const allowed = Object.keys(siteJsonSchema().properties ?? {}).join(', ');
    return { mistakes: [{ line: 1, column: 1, key: '', problem, allowed }] };
  }
  let value: unknown;
  try {
    value = dropNulls(document.toJS());
  } catch (error) {
    const problem = `cannot be expanded: ${lowerFirst(error instanceof Error ? error.message : String(error))}`;
    return { mistakes: [{ line: 1, column: 1, key: '', problem }] };
  }
  const result = createSiteSchema(folder).safeParse(value);
  if (result.success) return { site: result.data };
  return { mistakes: describeMistakes(result.error.issues, document, lines, siteJsonSchema()) };
}

/** The schema that editors use (docs/clona.schema.json). */
export function siteJsonSchema(): z.core.JSONSchema.BaseSchema {
  return z.toJSONSchema(createSiteSchema('/'), { io: 'input' });
}

/** The file that is published for editors: `# yaml-language-server: $schema=…` in the first line of clona.yaml. */
export function siteJsonSchemaText(): string {
  return `${JSON.stringify({ title: 'clona.yaml', ...siteJsonSchema() }, null, 2)}\n`;
}

/**
 * A key with nothing behind it, as when all its lines are commented out, counts as not given. Works in place and
 * visits what several aliases share once: copying it would let ten lines of aliases fill the memory.
 */
function dropNulls(value: unknown, visited = new Set<unknown>()): unknown {
  if (typeof value !== 'object' || value === null || visited.has(value)) return value;
  visited.add(value);
  for (const [key, item] of Object.entries(value)) {
    if (item === null && !Array.isArray(value)) Reflect.deleteProperty(value, key);
    else dropNulls(item, visited);
  }
  return value;
}

function firstLine(message: string): string {
  return message.split('\n')[0] ?? message;
}

function lowerFirst(message: string): string {
  return message.charAt(0).toLowerCase() + message.slice(1);
}
