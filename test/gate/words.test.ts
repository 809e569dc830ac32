import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Evidence, GateFacts, Word } from '../../src/gate/facts.ts';
import { decideGate } from '../../src/gate/gate.ts';
import { maySign } from '../../src/gate/signing.ts';
import { judgeWords } from '../../src/gate/words.ts';
import { evidence, goodRelease, now, policy, word } from './good-release.ts';

function withWords(...words: Word[]): GateFacts {
  return { ...goodRelease(), words };
}

const anna = word('Accounting', 'anna');
const wim = word('Warehouse', 'wim');

describe('who may sign', () => {
  const ask = (
    department: string,
    by: string,
    initiator = 'dora',
    onBehalfOf: string | null = null,
  ): boolean => maySign({ department, by, initiator, onBehalfOf }, policy).allowed;

  test('a key user and a delegate may, for their own department', () => {
    expect([ask('Accounting', 'anna'), ask('Accounting', 'arno'), ask('Warehouse', 'anna')]).toEqual([
      true,
      true,
      false,
    ]);
  });

  test('whoever started the release may not, in any spelling', () => {
    for (const name of ['anna', 'Anna', ' ANNA ', 'ａｎｎａ'])
      expect(ask('Accounting', name, 'anna')).toBe(false);
  });

  test('whoever started the release may, where the department made them its delegate', () => {
    const verdict = maySign(
      { department: 'Accounting', by: 'arno', initiator: 'arno', onBehalfOf: null },
      policy,
    );
    expect(verdict).toMatchObject({ allowed: true, as: 'delegate' });
  });

  test('a word is written down only by a recorder, for somebody who may sign, and is shown as such', () => {
    const verdict = maySign(
      { department: 'Accounting', by: 'dora', initiator: 'dora', onBehalfOf: 'anna' },
      policy,
    );
    expect(verdict).toMatchObject({
      allowed: true,
      shown: 'the word of anna (key user), written down by dora, who started the release',
    });
    expect(ask('Accounting', 'wim', 'dora', 'anna')).toBe(false);
    expect(ask('Accounting', 'dora', 'dora', 'bob')).toBe(false);
    expect(ask('Accounting', 'dora', 'anna', 'anna')).toBe(false);
    expect(ask('Accounting', 'anna', 'dora', 'Anna')).toBe(false);
  });

  test('nobody may for a department that the site does not know', () => {
    expect(ask('Sales', 'anna')).toBe(false);
  });
});

describe('a word', () => {
  test('of refusal closes the gate, whoever says it, wherever it stands among the others', () => {
    fc.assert(
      fc.property(
        fc.constantFrom('anna', 'arno', 'wim', 'mallory'),
        fc.constantFrom('Accounting', 'Warehouse', 'Sales'),
        fc.nat(2),
        (by, department, place) => {
          const words = [anna, wim];
          words.splice(place, 0, word(department, by, { word: 'refuse' }));
          const replaced = words.slice(place + 1).some((w) => w.by === by && w.department === department);
          expect(decideGate(withWords(...words), policy, now).open).toBe(replaced);
        },
      ),
    );
  });

  test('of refusal is taken back only by the same person', () => {
    const refusal = word('Accounting', 'anna', { word: 'refuse' });
    expect(decideGate(withWords(refusal, word('Accounting', 'arno'), wim), policy, now).open).toBe(false);
    expect(decideGate(withWords(refusal, anna, wim), policy, now).open).toBe(true);
  });

  test('said in person is not replaced by one that somebody else wrote down', () => {
    const refusal = word('Accounting', 'anna', { word: 'refuse' });
    const written = word('Accounting', 'dora', { onBehalfOf: 'anna' });
    expect(decideGate(withWords(refusal, written, wim), policy, now).open).toBe(false);
    expect(decideGate(withWords(written, wim), policy, now).open).toBe(true);
  });

  test.each(Object.keys(evidence) as (keyof Evidence)[])('is void once its %s is another one', (key) => {
    const facts = withWords(word('Accounting', 'anna', { evidence: { ...evidence, [key]: 'older' } }), wim);
    expect(judgeWords(facts, policy, now)[0]?.standing.state).toBe('void');
    expect(decideGate(facts, policy, now).open).toBe(false);
  });

  test('given before the request went out does not count', () => {
    const early = word('Accounting', 'anna', { at: '2026-03-14T18:59:59Z' });
    expect(judgeWords(withWords(early, wim), policy, now)[0]?.standing.state).toBe('void');
  });

  test('expires at its age, a refusal never', () => {
    const later = new Date('2026-03-15T08:00:00Z');
    const states = (words: Word[]): string[] =>
      judgeWords(withWords(...words), policy, later).map(({ standing }) => standing.state);
    expect(states([anna, word('Warehouse', 'wim', { word: 'refuse' })])).toEqual(['expired', 'counts']);
  });

  test('dated in the future does not count', () => {
    const future = word('Accounting', 'anna', { at: '2026-03-14T23:30:00Z' });
    expect(decideGate(withWords(future, wim), policy, now).open).toBe(false);
  });

  test('of somebody who lost the right to sign does not count', () => {
    const later = { ...policy, departments: [{ name: 'Accounting', keyUsers: ['arno'], delegates: [] }] };
    expect(judgeWords(withWords(anna), later, now)[0]?.standing.state).toBe('notAllowed');
  });

  test('cannot be turned into consent by any number of words of people who may not sign', () => {
    const stranger = fc.record({
      by: fc.constantFrom('dora', 'mallory', 'DORA ', 'wim'),
      onBehalfOf: fc.constantFrom(null, 'mallory', 'dora'),
    });
    fc.assert(
      fc.property(fc.array(stranger, { maxLength: 8 }), (people) => {
        const words = people.map(({ by, onBehalfOf }) => word('Accounting', by, { onBehalfOf }));
        expect(decideGate(withWords(...words, wim), policy, now).open).toBe(false);
      }),
    );
  });
});
