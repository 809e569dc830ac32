import type { GateFacts, GatePolicy } from './facts.ts';
import { formatLength, isYounger } from './time.ts';
import { closed, opened, type ConditionRow, type Verdict } from './verdict.ts';
import { describeWindow, isWindowOpen } from './window.ts';

/** What must be true of LIVE. */
export const liveConditions = {
  liveUnchanged: { rules: ['R18'], due: 'promotion', judge: judgeDrift },
  windowOpen: { rules: ['R18'], due: 'promotion', judge: judgeWindow },
  guardTaken: { rules: ['R18', 'R20'], due: 'firstChange', judge: judgeGuard },
} as const satisfies Record<string, ConditionRow>;

function judgeDrift({ live }: GateFacts, policy: GatePolicy, now: Date): Verdict {
  const look = 'let clona look at LIVE again: clona status';
  if (live === null) return closed('LIVE was not looked at', look);
  if (live.baseline === null) {
    return closed('how LIVE was when staging was made is not known', 'refresh staging, then a new release');
  }
  if (!isYounger(live.observedAt, policy.observationMaximumAgeMs, now)) {
    return closed(`LIVE was looked at ${live.observedAt}, too long ago`, look);
  }
  const drifted = [
    live.fingerprint === '' || live.fingerprint !== live.baseline.fingerprint ? 'its schema' : null,
    live.programVersion === '' || live.programVersion !== live.baseline.programVersion
      ? `its program (${live.baseline.programVersion} then, ${live.programVersion} now)`
      : null,
  ].filter((part) => part !== null);
  if (drifted.length > 0) {
    return closed(
      `LIVE changed since staging was made: ${drifted.join(' and ')}`,
      'refresh staging from LIVE as it is now, then a new release',
    );
  }
  return opened('LIVE is as it was when staging was made');
}

function judgeWindow(_facts: GateFacts, { windows }: GatePolicy, now: Date): Verdict {
  if (windows === 'always') return opened('the site has no maintenance window, and says so');
  const inside = windows.find((window) => isWindowOpen(window, now));
  if (inside !== undefined) return opened(`the window ${describeWindow(inside)} is open`);
  return windows.length === 0
    ? closed('the site has no maintenance window', 'set promotion.window in the site file')
    : closed('it is outside the maintenance window', `wait for ${windows.map(describeWindow).join(' or ')}`);
}

function judgeGuard({ guard }: GateFacts, policy: GatePolicy, now: Date): Verdict {
  const remedy = 'promote takes both itself, right before the first step';
  if (guard === null || guard.backup === null) return closed('no guard backup of LIVE was taken', remedy);
  if (guard.snapshot === null) return closed('no machine snapshot of LIVE was taken', remedy);
  const limit = formatLength(policy.guardMaximumAgeMs);
  if (!isYounger(guard.backup.finishedAt, policy.guardMaximumAgeMs, now)) {
    return closed(`the guard backup is of ${guard.backup.finishedAt}, older than ${limit}`, remedy);
  }
  if (!(guard.backup.grade >= 1)) {
    return closed(`the checksums of guard backup ${guard.backup.label} were not compared`, remedy);
  }
  if (!isYounger(guard.snapshot.createdAt, policy.guardMaximumAgeMs, now)) {
    return closed(`the snapshot is of ${guard.snapshot.createdAt}, older than ${limit}`, remedy);
  }
  if (guard.snapshot.escapes.length > 0) {
    return closed(
      `the snapshot does not hold ${guard.snapshot.escapes.join(', ')}`,
      'move these disks into what a snapshot holds',
    );
  }
  return opened(`guard backup ${guard.backup.label} and snapshot ${guard.snapshot.name} were taken`);
}
