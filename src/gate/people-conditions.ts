import { currentEvidence, whatChanged } from './evidence.ts';
import type { DepartmentPolicy, GateFacts, GatePolicy } from './facts.ts';
import { sameName } from './signing.ts';
import { elapsedMs } from './time.ts';
import { closed, opened, type ConditionRow, type Verdict } from './verdict.ts';
import { judgeWords, type StandingWord } from './words.ts';

/** What people must have said. */
export const peopleConditions = {
  checklistDone: { rules: ['R18'], due: 'promotion', judge: judgeChecklist },
  requestsSent: { rules: ['R18'], due: 'promotion', judge: judgeRequests },
  departmentsConfirmed: { rules: ['R18', 'R19'], due: 'promotion', judge: judgeDepartments },
  nobodyRefused: { rules: ['R18'], due: 'promotion', judge: judgeRefusals },
} as const satisfies Record<string, ConditionRow>;

function judgeChecklist({ checklist, smoke }: GateFacts, policy: GatePolicy): Verdict {
  const command = 'tick it: clona signoff --checklist';
  if (checklist === null) return closed("the DBA's checklist was not done", command);
  if (checklist.smokeRun !== smoke?.run) {
    return closed("the DBA's checklist was done before the newest smoke tests", command);
  }
  const missing = policy.checklist.filter(
    (item) => !checklist.done.some((tick) => sameName(tick.item, item) && tick.by.trim() !== ''),
  );
  if (missing.length > 0) return closed(`not done on the DBA's checklist: ${missing.join('; ')}`, command);
  return opened(
    policy.checklist.length === 0
      ? "the DBA's checklist of this site is empty"
      : `the DBA's checklist is done (${policy.checklist.length} items)`,
  );
}

function judgeRequests(facts: GateFacts): Verdict {
  const { requests, smoke } = facts;
  const remedy = "they go out once the smoke tests passed and the DBA's checklist is done";
  if (requests === null) return closed('the departments were not asked yet', remedy);
  const evidence = currentEvidence(facts);
  const changes = evidence === null ? ['a part of it is missing'] : whatChanged(requests.evidence, evidence);
  if (changes.length > 0) {
    return closed(
      `the departments were asked about something else: ${changes.join(', ')}`,
      'start a new release',
    );
  }
  const gap = smoke === null ? null : elapsedMs(smoke.finishedAt, requests.sentAt);
  if (gap === null || gap < 0) {
    return closed('the departments were asked before the smoke tests passed', 'start a new release');
  }
  return opened(`the departments were asked ${requests.sentAt}`);
}

function judgeDepartments(facts: GateFacts, policy: GatePolicy, now: Date): Verdict {
  if (policy.departments.length === 0) {
    return closed('the site names no department', 'add departments with their key users to the site file');
  }
  const words = judgeWords(facts, policy, now);
  const open = policy.departments.map((department) => missingWord(department, words));
  const missing = open.filter((text) => text !== null);
  if (missing.length > 0) {
    const names = policy.departments.filter((_, index) => open[index] !== null).map(({ name }) => name);
    return closed(missing.join('; '), `clona signoff --department ${typed(names[0] ?? '')} --confirm`);
  }
  const said = words.filter(({ word, standing }) => word === 'confirm' && standing.state === 'counts');
  return opened(
    `confirmed: ${said.map(({ standing }) => `${standing.department} by ${standing.shown}`).join('; ')}`,
  );
}

/** As it is typed in a shell: a label of the site has nothing that double quotes would not hold together. */
function typed(name: string): string {
  return /^[\w.+-]+$/.test(name) ? name : `"${name}"`;
}

function missingWord(department: DepartmentPolicy, words: readonly StandingWord[]): string | null {
  const own = words.filter(
    ({ word, standing }) => word === 'confirm' && standing.department === department.name,
  );
  if (own.some(({ standing }) => standing.state === 'counts')) return null;
  const last = own.findLast(({ standing }) => standing.state !== 'replaced');
  const why =
    last === undefined || last.standing.state === 'counts' ? 'has not confirmed' : last.standing.reason;
  return last === undefined
    ? `${department.name} ${why}`
    : `${department.name}: ${why} (${last.standing.shown})`;
}

function judgeRefusals(facts: GateFacts, policy: GatePolicy, now: Date): Verdict {
  const refusals = judgeWords(facts, policy, now).filter(
    ({ word, standing }) => word === 'refuse' && standing.state === 'counts',
  );
  if (refusals.length === 0) return opened('nobody refused');
  const said = refusals.map(
    ({ standing, comment }) =>
      `${standing.department} by ${standing.shown}${comment ? `: "${comment}"` : ''}`,
  );
  return closed(
    `refused: ${said.join('; ')}`,
    'mend the cause and start a new release, or the one who refused confirms',
  );
}
