import { readdirSync, readFileSync } from 'node:fs';

/** A worked case: a catalog, a command line, and what it must answer. */
export interface GoldenCase {
  name: string;
  comment: string;
  catalog: unknown;
  args: {
    verb: 'plan' | 'incarnations' | 'retention';
    until?: string;
    lost?: string;
    policy?: unknown;
    now?: string;
  };
  expected: Record<string, unknown>;
}

const folder = new URL('../golden/planner/', import.meta.url);

export function readGoldenCases(): GoldenCase[] {
  return readdirSync(folder)
    .filter((name) => name.endsWith('.json'))
    .sort()
    .map((name) => JSON.parse(readFileSync(new URL(name, folder), 'utf8')) as GoldenCase);
}

interface LogName {
  incarnation: number;
  thread: number;
  sequence: number;
}

/** The answer of a verb, flattened to the keys that the cases use. */
export function flattenAnswer(document: unknown, expected: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.keys(expected).map((key) => [key, pick(document, key)]));
}

function pick(document: unknown, key: string): unknown {
  const answer = document as {
    incarnations?: { id: number }[];
    backups?: { label: string; keep: boolean }[];
    lowWaterMarks?: { incarnation: number; position: string | null }[];
  };
  const [head, tail] = key.split('.');
  if (answer.incarnations !== undefined && tail !== undefined) {
    return field(
      answer.incarnations.find(({ id }) => String(id) === tail),
      head,
    );
  }
  switch (head ?? '') {
    case 'kept':
      return answer.backups
        ?.filter(({ keep }) => keep)
        .map(({ label }) => label)
        .sort();
    case 'listed':
      return answer.backups?.map(({ label }) => label).sort();
    case 'lowWaterMark':
      return answer.lowWaterMarks?.find(({ incarnation }) => String(incarnation) === tail)?.position;
    case 'logs':
    case 'deletableLogs':
      return (field(document, head) as LogName[]).map((log) => [log.incarnation, log.thread, log.sequence]);
    default:
      return tail === undefined ? field(document, head) : field(field(document, head), tail);
  }
}

function field(value: unknown, name: string | undefined): unknown {
  return (value as Record<string, unknown> | undefined)?.[name ?? ''];
}
