import type { Evidence, GateFacts, GatePolicy, Word } from '../../src/gate/facts.ts';

export const now = new Date('2026-03-14T22:30:00Z'); // a Saturday

export const evidence: Evidence = {
  refresh: 'refresh-7',
  backup: 'B9',
  kitHash: 'kit-hash',
  procedureHash: 'steps-hash',
  upgradeRun: 'upgrade-1',
  checksHash: 'checks-hash',
  smokeRun: 'smoke-1',
  rehearsalRun: 'rehearsal-1',
  checklistRun: 'checklist-1',
};

export function word(department: string, by: string, changes: Partial<Word> = {}): Word {
  return {
    department,
    by,
    onBehalfOf: null,
    word: 'confirm',
    comment: null,
    at: '2026-03-14T20:00:00Z',
    evidence,
    ...changes,
  };
}

export const policy: GatePolicy = {
  minimumGrade: 5,
  maximumAgeMs: 24 * 3_600_000,
  departments: [
    { name: 'Accounting', keyUsers: ['anna'], delegates: ['arno'] },
    { name: 'Warehouse', keyUsers: ['wim'], delegates: [] },
  ],
  checklist: ['the log of the kit was read', 'space on LIVE was checked'],
  recorders: ['dora'],
  confirmationMaximumAgeMs: 12 * 3_600_000,
  windows: [{ days: ['sat'], from: '22:00', to: '23:00', timeZone: 'UTC' }],
  maskingRequired: true,
  rehearsalRequired: true,
  observationMaximumAgeMs: 600_000,
  guardMaximumAgeMs: 3_600_000,
};

/** Everything holds: the gate is open. Each call gives a copy of its own. */
export function goodRelease(): GateFacts {
  return structuredClone<GateFacts>({
    release: { id: 'R1', initiator: 'dora', startedAt: '2026-03-14T18:00:00Z', state: 'open' },
    archive: {
      backup: 'B9',
      grade: 5,
      provenAt: '2026-03-14T17:00:00Z',
      coversUntil: '2026-03-14T16:30:00Z',
    },
    staging: {
      machine: 'erp-staging',
      refresh: 'refresh-7',
      restoredFrom: 'B9',
      fenced: true,
      maskedAt: '2026-03-14T17:10:00Z',
      heldBy: 'R1',
    },
    kit: { name: 'erp', version: '2.1', releaseHash: 'kit-hash', hashNow: 'kit-hash' },
    upgrade: {
      run: 'upgrade-1',
      refresh: 'refresh-7',
      kitHash: 'kit-hash',
      procedureHash: 'steps-hash',
      procedureHashNow: 'steps-hash',
      outcome: 'succeeded',
      failedStep: null,
      finishedAt: '2026-03-14T18:20:00Z',
    },
    smoke: {
      run: 'smoke-1',
      refresh: 'refresh-7',
      upgradeRun: 'upgrade-1',
      checksHash: 'checks-hash',
      checksHashNow: 'checks-hash',
      passed: 12,
      failed: [],
      finishedAt: '2026-03-14T18:30:00Z',
    },
    rehearsal: {
      run: 'rehearsal-1',
      refresh: 'refresh-7',
      kitHash: 'kit-hash',
      back: { counts: true, version: true, fingerprint: true },
      finishedAt: '2026-03-14T18:40:00Z',
    },
    checklist: {
      run: 'checklist-1',
      smokeRun: 'smoke-1',
      done: [
        { item: 'the log of the kit was read', by: 'dora', at: '2026-03-14T18:50:00Z' },
        { item: 'space on LIVE was checked', by: 'dora', at: '2026-03-14T18:51:00Z' },
      ],
    },
    requests: { sentAt: '2026-03-14T19:00:00Z', evidence },
    words: [word('Accounting', 'anna'), word('Warehouse', 'wim')],
    live: {
      fingerprint: 'schema-1',
      programVersion: '2.0',
      observedAt: '2026-03-14T22:29:00Z',
      baseline: { fingerprint: 'schema-1', programVersion: '2.0' },
    },
    guard: {
      backup: { label: 'G1', finishedAt: '2026-03-14T22:25:00Z', grade: 1 },
      snapshot: { name: 'before-R1', createdAt: '2026-03-14T22:26:00Z', escapes: [] },
    },
  });
}
