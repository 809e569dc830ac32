import type { Evidence, GateFacts } from './facts.ts';

const labels = {
  refresh: 'staging was refreshed',
  backup: 'another backup was restored',
  kitHash: 'the kit changed',
  procedureHash: 'the steps changed',
  upgradeRun: 'the upgrade ran again',
  checksHash: 'the smoke tests changed',
  smokeRun: 'the smoke tests ran again',
  rehearsalRun: 'the rollback was rehearsed again',
  checklistRun: "the DBA's checklist was done again",
} as const satisfies Record<keyof Evidence, string>;

/** What a word given now would rest on, from what is true now; null while a part of it is missing. */
export function currentEvidence(facts: GateFacts): Evidence | null {
  const { archive, staging, kit, upgrade, smoke, rehearsal, checklist } = facts;
  if (!archive || !staging || !upgrade || !smoke || !checklist) return null;
  if (kit.hashNow === null || upgrade.procedureHashNow === null || smoke.checksHashNow === null) return null;
  return {
    refresh: staging.refresh,
    backup: archive.backup,
    kitHash: kit.hashNow,
    procedureHash: upgrade.procedureHashNow,
    upgradeRun: upgrade.run,
    checksHash: smoke.checksHashNow,
    smokeRun: smoke.run,
    // A site may rehearse none: whether it must is a condition of its own.
    rehearsalRun: rehearsal?.run ?? '',
    checklistRun: checklist.run,
  };
}

/** In plain words what changed between two; empty: the very same evidence. */
export function whatChanged(then: Evidence, now: Evidence): string[] {
  // Object.keys of a literal record gives its own keys.
  const parts = Object.keys(labels) as (keyof Evidence)[];
  return parts.filter((part) => then[part] !== now[part]).map((part) => labels[part]);
}
