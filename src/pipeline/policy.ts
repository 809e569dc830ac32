import type { GatePolicy } from '../gate/facts.ts';
import type { Site } from '../site/site.ts';

/** "Just before" and "looked at now" of R18, in milliseconds. */
const guardMaximumAgeMs = 3_600_000;
const observationMaximumAgeMs = 600_000;

/** What the gate demands at this site. */
export function policyOf(site: Site): GatePolicy {
  const { archive, departments, dba, promotion, staging } = site;
  const { window } = promotion;
  return {
    minimumGrade: archive.minimumGrade,
    maximumAgeMs: archive.maximumAge,
    departments: departments.map(({ name, keyUsers, delegates }) => ({ name, keyUsers, delegates })),
    checklist: dba.checklist,
    recorders: dba.name === undefined ? [] : [dba.name],
    confirmationMaximumAgeMs: promotion.confirmationsExpire,
    windows:
      window === undefined
        ? 'always'
        : [{ days: window.days, from: window.from, to: window.to, timeZone: window.zone }],
    maskingRequired: staging.masking.length > 0,
    rehearsalRequired: promotion.rollback.rehearse,
    observationMaximumAgeMs,
    guardMaximumAgeMs,
  };
}
