import { setTimeout as wait } from 'node:timers/promises';
import type { ExitCode } from '../errors.ts';
import { toClonaError } from '../errors.ts';
import type { Check, Finding, Patient, Topic } from './check.ts';

export interface Diagnosis extends Finding {
  topic: Topic;
  /** The row of the table. */
  check: string;
  rules: readonly string[];
}

const patienceMs = 30_000;

/** Runs every check of the table, each on its own: one that fails hides no other. Never throws but for the signal. */
export async function examine(
  patient: Patient,
  table: Readonly<Record<string, Check>>,
): Promise<Diagnosis[]> {
  const found: Diagnosis[] = [];
  for (const [name, check] of Object.entries(table)) {
    patient.signal.throwIfAborted();
    for (const finding of await lookWithPatience(check, patient)) {
      found.push({ topic: check.topic, check: name, rules: check.rules ?? [], ...finding });
    }
  }
  return found;
}

async function lookWithPatience(check: Check, patient: Patient): Promise<Finding[]> {
  const done = new AbortController();
  const late = wait(patienceMs, undefined, { signal: done.signal }).then((): Finding[] => [
    {
      state: 'failed',
      what: `no answer within ${patienceMs / 1000} s`,
      mend: 'see whether a disk or the network hangs',
      exit: 6,
    },
  ]);
  late.catch(() => {});
  try {
    return await Promise.race([Promise.resolve(check.look(patient)), late]);
  } catch (thrown) {
    patient.signal.throwIfAborted();
    const error = toClonaError(thrown);
    return [
      {
        state: 'failed',
        what: error.message,
        mend: error.hint ?? describeCause(error) ?? 'see docs/how-to, or ask whoever runs that machine',
        exit: error.exitCode === 2 ? 2 : 6,
      },
    ];
  } finally {
    done.abort();
  }
}

function describeCause({ cause }: Error): string | undefined {
  return cause instanceof Error ? `the cause: ${cause.message}` : undefined;
}

/**
 * 0 when nothing failed (warnings may be there); 6 when a machine, database, disk or network failed; else 2: what
 * failed is a setting.
 */
export function exitCodeOf(found: readonly Finding[]): ExitCode {
  const exits = found.filter(({ state }) => state === 'failed').map(({ exit }) => exit ?? 2);
  if (exits.length === 0) return 0;
  return exits.includes(6) ? 6 : 2;
}

const signs = { ok: '✔', warning: '!', failed: '✖', skipped: '-' } as const;

/** The findings as people read them, by topic, each with how to mend it. */
export function showDiagnoses(found: readonly Diagnosis[]): string {
  const lines: string[] = [];
  let topic: Topic | undefined;
  for (const { topic: next, state, what, mend, rules } of found) {
    if (next !== topic) lines.push(...(topic === undefined ? [] : ['']), next);
    topic = next;
    const cited = state === 'ok' || rules.length === 0 ? '' : ` (${rules.join(', ')})`;
    lines.push(`  ${signs[state]} ${what}${cited}`);
    if (mend !== undefined) lines.push(`      mend: ${mend}`);
  }
  const count = (state: Finding['state']): number =>
    found.filter((finding) => finding.state === state).length;
  const summary = [
    `${count('ok')} in order`,
    `${count('warning')} to look at`,
    `${count('failed')} to mend`,
    `${count('skipped')} not known here`,
  ];
  return [...lines, '', summary.join(', ')].join('\n');
}
