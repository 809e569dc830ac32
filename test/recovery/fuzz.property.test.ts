import fc from 'fast-check';
import { expect, test } from 'vitest';
import { ClonaError } from '../../src/errors.ts';
import { planToJson } from '../../src/recovery/answer.ts';
import { explainIncarnations, explainPlan } from '../../src/recovery/explain.ts';
import { listIncarnations } from '../../src/recovery/incarnations.ts';
import { findFault } from '../../src/recovery/json-text.ts';
import { parseCatalog } from '../../src/recovery/parse-catalog.ts';
import { planRecovery } from '../../src/recovery/plan.ts';
import { lostWords, parseUntil } from '../../src/recovery/question.ts';
import { explainRetention, retentionToJson } from '../../src/retention/explain.ts';
import { parsePolicy } from '../../src/retention/policy.ts';
import { decideRetention } from '../../src/retention/retention.ts';
import { anyCatalog } from './arbitrary.ts';
import { readGoldenCases } from './golden.ts';

/** 100,000 by `npm run test:deep`. */
const runs = Number(process.env['CLONA_FUZZ'] ?? 4000);
const timeout = 60_000 + runs * 10;

const seeds = readGoldenCases()
  .slice(0, 12)
  .map(({ catalog }) => JSON.stringify(catalog, null, 1));

/** A refusal is an error of ours with exit 2 that begins with a path, or says line and column. */
function refusedWell(thrown: unknown): boolean {
  if (!(thrown instanceof ClonaError) || thrown.exitCode !== 2) return false;
  return /^[a-zA-Z]+(\[\d+\])?(\.[a-zA-Z]+)?: |^the (catalog|policy)(: | is not JSON at line \d+, column \d+$)/.test(
    thrown.message,
  );
}

/** Everything that can be asked of a catalog, if it is one; true: it was one. */
function digest(text: string): boolean {
  let catalog;
  try {
    catalog = parseCatalog(text);
  } catch (thrown) {
    expect(refusedWell(thrown), String(thrown)).toBe(true);
    return false;
  }
  for (const lost of lostWords) {
    const answer = planRecovery(catalog, { until: { kind: 'latest' }, lost });
    expect(JSON.stringify(planToJson(answer))).toContain('"reachable"');
    expect(explainPlan(catalog, answer)).toContain('Target');
  }
  const retention = decideRetention(catalog, { redundancy: 1, windowDays: 1, orphanDays: 1 }, 0);
  expect(JSON.stringify(retentionToJson(retention))).toContain('"lowWaterMarks"');
  expect(explainRetention(catalog, retention)).toContain('archive low water mark');
  expect(explainIncarnations(catalog.engine, listIncarnations(catalog))).toContain('CURRENT');
  return true;
}

const junk = fc.oneof(
  fc.string({ maxLength: 4 }),
  fc.constantFrom(
    'null',
    '-1',
    '1e400',
    '"18446744073709551616"',
    '[]',
    '{}',
    ',',
    '"',
    '\\',
    '\u0000',
    '\uFEFF',
    '\uD800',
    '0',
    '"__proto__"',
  ),
);

test(
  'flipped, cut, doubled and swapped bytes of a catalog give an answer or a place, never a crash',
  () => {
    const edit = fc.record({
      at: fc.nat(),
      drop: fc.constantFrom(0, 1, 1, 1, 2, 9, 400),
      put: fc.oneof(junk, fc.constant('')),
    });
    fc.assert(
      fc.property(
        fc.constantFrom(...seeds),
        fc.array(edit, { minLength: 1, maxLength: 3 }),
        (seed, edits) => {
          let text = seed;
          for (const { at, drop, put } of edits) {
            const place = at % (text.length + 1);
            text = text.slice(0, place) + put + text.slice(place + drop);
          }
          expect(digest(text)).toBeTypeOf('boolean');
        },
      ),
      { numRuns: runs },
    );
  },
  timeout,
);

test(
  'any value in any field gives an answer or a path',
  () => {
    const value = fc.oneof(
      fc.jsonValue({ maxDepth: 2 }),
      fc.constantFrom<unknown>('0', '5', '18446744073709551615', 1, 2, 3, null, true, [], {}),
    );
    fc.assert(
      fc.property(anyCatalog, fc.nat(), value, (catalog, pick, put) => {
        const raw: unknown = JSON.parse(
          JSON.stringify(catalog, (_, one: unknown) => (typeof one === 'bigint' ? String(one) : one)),
        );
        const places = listPlaces(raw);
        const { holder, key } = places[pick % places.length]!;
        holder[key] = put;
        expect(digest(JSON.stringify(raw))).toBeTypeOf('boolean');
      }),
      { numRuns: runs },
    );
  },
  timeout,
);

function listPlaces(value: unknown): { holder: Record<string, unknown>; key: string }[] {
  if (typeof value !== 'object' || value === null) return [];
  const holder = value as Record<string, unknown>; // arrays too: their keys are their indexes
  return Object.keys(holder).flatMap((key) => [{ holder, key }, ...listPlaces(holder[key])]);
}

test(
  'any text as a target is taken or refused with exit 2',
  () => {
    const words = fc.constantFrom('position', 'time', 'incarnation', 'backup', 'latest', '');
    const rest = fc.oneof(fc.string({ maxLength: 30 }), fc.stringMatching(/^[0-9@:TZ+.-]{0,40}$/));
    fc.assert(
      fc.property(words, fc.constantFrom(':', '', '@'), rest, (word, separator, text) => {
        try {
          expect(parseUntil(word + separator + text).kind).not.toBe('');
        } catch (thrown) {
          expect(thrown).toBeInstanceOf(ClonaError);
          expect((thrown as ClonaError).exitCode).toBe(2);
        }
      }),
      { numRuns: runs },
    );
  },
  timeout,
);

test(
  'any text as a policy is taken or refused with a place',
  () => {
    const rule = fc.constantFrom('redundancy', 'windowDays', 'orphanDays', 'window', '__proto__');
    const text = fc.oneof(
      fc.string(),
      fc.dictionary(rule, fc.jsonValue({ maxDepth: 1 })).map((policy) => JSON.stringify(policy)),
    );
    fc.assert(
      fc.property(text, (policy) => {
        try {
          for (const value of Object.values(parsePolicy(policy))) expect(value).toBeGreaterThanOrEqual(0);
        } catch (thrown) {
          expect(thrown).toBeInstanceOf(ClonaError);
          expect((thrown as ClonaError).exitCode).toBe(2);
        }
      }),
      { numRuns: runs },
    );
  },
  timeout,
);

/** Whether something can follow `prefix` so that all of it is JSON. */
test(
  'the place of a fault is where the text stops being the beginning of any JSON',
  () => {
    fc.assert(
      fc.property(fc.json({ maxDepth: 3 }), fc.nat(), junk, (json, pick, put) => {
        const at = pick % (json.length + 1);
        const text = json.slice(0, at) + put + json.slice(at + 1);
        try {
          JSON.parse(text);
        } catch {
          const fault = findFault(text);
          expect(fault).toBeLessThanOrEqual(text.length);
          // What V8 says, where it says a place at all, is the same place.
          const said = sayPlace(text);
          if (said !== null) expect(fault).toBe(said);
        }
      }),
      { numRuns: runs },
    );
  },
  timeout,
);

function sayPlace(text: string): number | null {
  try {
    JSON.parse(text);
  } catch (error) {
    const found = /at position (\d+)/.exec((error as Error).message);
    return found === null ? null : Number(found[1]);
  }
  return null;
}
