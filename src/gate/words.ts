import { currentEvidence, whatChanged } from './evidence.ts';
import type { GateFacts, GatePolicy, Word } from './facts.ts';
import { maySign, personKey } from './signing.ts';
import { clockSkewMs, elapsedMs } from './time.ts';

export type Standing =
  | { state: 'counts'; shown: string; department: string }
  | {
      state: 'replaced' | 'void' | 'expired' | 'notAllowed';
      reason: string;
      shown: string;
      department: string;
    };

export interface StandingWord extends Word {
  standing: Standing;
}

/** What every word of the release is worth now: R18 says who may speak, R19 what voids what was said. */
export function judgeWords(facts: GateFacts, policy: GatePolicy, now: Date): StandingWord[] {
  return facts.words.map((word, index) => {
    const later = facts.words.slice(index + 1).some((other) => isReplacedBy(word, other));
    return { ...word, standing: judgeWord(word, later, facts, policy, now) };
  });
}

/** A person's newest word counts. What somebody else wrote down never replaces what the person said in person. */
function isReplacedBy(word: Word, later: Word): boolean {
  return (
    personKey(word.department) === personKey(later.department) &&
    personKey(word.onBehalfOf ?? word.by) === personKey(later.onBehalfOf ?? later.by) &&
    (later.onBehalfOf === null || word.onBehalfOf !== null)
  );
}

function judgeWord(word: Word, replaced: boolean, facts: GateFacts, policy: GatePolicy, now: Date): Standing {
  const verdict = maySign({ ...word, initiator: facts.release.initiator }, policy);
  const shown = verdict.allowed ? verdict.shown : (word.onBehalfOf ?? word.by);
  const department = verdict.allowed ? verdict.department.name : word.department;
  const not = (state: 'replaced' | 'void' | 'expired' | 'notAllowed', reason: string): Standing => ({
    state,
    reason,
    shown,
    department,
  });
  if (replaced) return not('replaced', `${word.onBehalfOf ?? word.by} spoke again later`);

  const evidence = currentEvidence(facts);
  if (evidence === null) return not('void', 'what it rests on is no longer there');
  const changes = whatChanged(word.evidence, evidence);
  if (changes.length > 0) return not('void', `${changes.join(', ')} after it was given`);
  // A refusal stands whoever said it and however old it is: only confirming needs a right and a date.
  if (word.word === 'refuse') return { state: 'counts', shown, department };

  if (!verdict.allowed) return not('notAllowed', verdict.reason);
  const sinceRequest = facts.requests === null ? null : elapsedMs(facts.requests.sentAt, word.at);
  if (sinceRequest === null || sinceRequest < 0) return not('void', 'given before the request went out');
  const age = elapsedMs(word.at, now);
  if (age === null || age < -clockSkewMs) return not('void', `its time ${word.at} lies in the future`);
  if (policy.confirmationMaximumAgeMs !== null && age >= policy.confirmationMaximumAgeMs) {
    return not('expired', `given ${word.at}, and confirmations expire`);
  }
  return { state: 'counts', shown, department };
}
