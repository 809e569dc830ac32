import type { GateFacts, GatePolicy } from './facts.ts';
import { elapsedMs, formatLength, isYounger } from './time.ts';
import { closed, opened, type ConditionRow, type Verdict } from './verdict.ts';

/** What must be true of the archive and of LIVE STAGING. */
export const stagingConditions = {
  releaseOpen: { rules: ['R18'], due: 'promotion', judge: judgeRelease },
  archiveProven: { rules: ['R15', 'R18'], due: 'promotion', judge: judgeGrade },
  archiveYoung: { rules: ['R18'], due: 'promotion', judge: judgeArchiveAge },
  stagingRestored: { rules: ['R18'], due: 'promotion', judge: judgeRestored },
  stagingHeld: { rules: ['R19'], due: 'promotion', judge: judgeHeld },
  stagingFenced: { rules: ['R21'], due: 'promotion', judge: judgeFence },
  stagingMasked: { rules: ['R23'], due: 'promotion', judge: judgeMasking },
  kitUnchanged: { rules: ['R17', 'R18'], due: 'promotion', judge: judgeKit },
  upgradeSucceeded: { rules: ['R17', 'R18'], due: 'promotion', judge: judgeUpgrade },
  procedureUnchanged: { rules: ['R17', 'R20'], due: 'promotion', judge: judgeProcedure },
  smokePassed: { rules: ['R18', 'R19'], due: 'promotion', judge: judgeSmoke },
  rollbackRehearsed: { rules: ['R20'], due: 'promotion', judge: judgeRehearsal },
} as const satisfies Record<string, ConditionRow>;

function judgeRelease({ release }: GateFacts): Verdict {
  if (release.id === '' || release.initiator.trim() === '') {
    return closed('nobody is named who started the release', 'start a new release');
  }
  if (release.state === 'open') return opened(`release ${release.id} is open`);
  // A second promotion is kept out by the site's lock; this one asks again before its first change.
  if (release.state === 'promoting') return opened(`release ${release.id} is being promoted`);
  return closed(`release ${release.id} has ended: ${release.state}`, 'start a new release');
}

function judgeGrade({ archive }: GateFacts, policy: GatePolicy): Verdict {
  const wanted = `prove the archive to grade ${policy.minimumGrade}: clona refresh`;
  if (archive === null) return closed('no archive was proven for this release', wanted);
  if (archive.grade === null || archive.provenAt === null) {
    return closed(`backup ${archive.backup} was never proven`, wanted);
  }
  if (!(archive.grade >= policy.minimumGrade)) {
    return closed(
      `backup ${archive.backup} has grade ${archive.grade}, the site demands ${policy.minimumGrade}`,
      wanted,
    );
  }
  return opened(`backup ${archive.backup} is proven to grade ${archive.grade}`);
}

function judgeArchiveAge({ archive }: GateFacts, policy: GatePolicy, now: Date): Verdict {
  const remedy = 'refresh staging from a newer archive: clona refresh, then a new release';
  if (archive === null) return closed('no archive was proven for this release', remedy);
  const covers = archive.coversUntil;
  if (covers === null) return closed(`up to when ${archive.backup} reaches is not known`, remedy);
  const limit = formatLength(policy.maximumAgeMs);
  if (!isYounger(covers, policy.maximumAgeMs, now)) {
    const age = elapsedMs(covers, now);
    const said = age === null || age < 0 ? `dated ${covers}` : `${formatLength(age)} old`;
    return closed(`what was restored is ${said}, the site allows ${limit}`, remedy);
  }
  if (archive.provenAt === null || !isYounger(archive.provenAt, policy.maximumAgeMs, now)) {
    return closed(
      `the proof of ${archive.backup} is of ${archive.provenAt ?? 'no date'}, the site allows ${limit}`,
      remedy,
    );
  }
  return opened(`restored up to ${covers}`);
}

function judgeRestored({ archive, staging, release }: GateFacts): Verdict {
  const remedy = 'refresh staging from the archive: clona refresh, then a new release';
  if (staging === null) return closed('there is no staging machine', remedy);
  if (archive === null) return closed('it is not known which archive staging was restored from', remedy);
  if (staging.refresh === '' || staging.restoredFrom !== archive.backup) {
    return closed(`staging holds ${staging.restoredFrom || 'nothing'}, proven was ${archive.backup}`, remedy);
  }
  return opened(`${staging.machine} of release ${release.id} was restored from ${archive.backup}`);
}

function judgeHeld({ staging, release }: GateFacts): Verdict {
  if (staging !== null && staging.heldBy === release.id) return opened(`${staging.machine} is held`);
  const by = staging?.heldBy ? `release ${staging.heldBy}` : 'nobody';
  return closed(
    `staging is held by ${by}, not by this release`,
    'start a new release on a staging of its own',
  );
}

function judgeFence({ staging }: GateFacts): Verdict {
  if (staging?.fenced === true) return opened('the clone cannot reach production');
  return closed(
    'the fence round staging was not proven',
    'refresh staging: clona refresh, then a new release',
  );
}

function judgeMasking({ staging }: GateFacts, policy: GatePolicy): Verdict {
  if (!policy.maskingRequired) return opened('the site masks nothing, and says so');
  if (staging?.maskedAt) return opened(`masked ${staging.maskedAt}`);
  return closed("the site's masking did not run", 'refresh staging: clona refresh, then a new release');
}

function judgeKit({ kit, upgrade }: GateFacts): Verdict {
  const name = `${kit.name} ${kit.version}`;
  if (kit.hashNow === null) return closed(`kit ${name} cannot be read`, 'put the kit back where it was');
  if (upgrade === null) {
    return closed(`kit ${name} was not installed on staging`, 'run the release: clona release');
  }
  if (kit.hashNow !== kit.releaseHash || kit.hashNow !== upgrade.kitHash || kit.hashNow === '') {
    return closed(
      `kit ${name} is not the one that was installed on staging`,
      'put the same kit back, or start a new release with the changed one',
    );
  }
  return opened(`kit ${name} is unchanged`);
}

function judgeUpgrade({ upgrade, staging }: GateFacts): Verdict {
  const remedy = 'mend the kit and start a new release';
  if (upgrade === null)
    return closed('the kit was not installed on staging', 'run the release: clona release');
  if (upgrade.outcome !== 'succeeded') {
    return closed(
      `the kit failed on staging${upgrade.failedStep ? ` in ${upgrade.failedStep}` : ''}`,
      remedy,
    );
  }
  if (upgrade.refresh !== staging?.refresh) {
    return closed('staging was refreshed after the kit was installed', 'start a new release');
  }
  return opened('the kit was installed on staging without an error');
}

function judgeProcedure({ upgrade }: GateFacts): Verdict {
  const remedy = 'start a new release, which records the steps again';
  if (upgrade === null) return closed('no steps are recorded', 'run the release: clona release');
  if (upgrade.procedureHash === '' || upgrade.procedureHash !== upgrade.procedureHashNow) {
    return closed('the steps for LIVE are not the ones recorded on staging', remedy);
  }
  return opened('the steps for LIVE are those of staging, in the same order');
}

function judgeSmoke({ smoke, staging, upgrade }: GateFacts): Verdict {
  const remedy = 'mend what they found and start a new release';
  if (smoke === null) return closed('no smoke test ran after the kit', 'run the release: clona release');
  if (smoke.refresh !== staging?.refresh || smoke.upgradeRun !== upgrade?.run) {
    return closed('the smoke tests ran before this upgrade', 'start a new release');
  }
  const gap = elapsedMs(upgrade.finishedAt, smoke.finishedAt);
  if (gap === null || gap < 0)
    return closed('the smoke tests ended before the upgrade', 'start a new release');
  if (smoke.failed.length > 0) {
    return closed(`smoke tests failed: ${smoke.failed.join(', ')}`, remedy);
  }
  if (!(smoke.passed > 0)) return closed('the site has no smoke test', 'add one under smoke/');
  if (smoke.checksHash === '' || smoke.checksHash !== smoke.checksHashNow) {
    return closed('the smoke tests changed after they ran', 'start a new release');
  }
  return opened(`${smoke.passed} smoke tests passed after the upgrade`);
}

function judgeRehearsal({ rehearsal, staging, upgrade }: GateFacts, policy: GatePolicy): Verdict {
  if (!policy.rehearsalRequired) return opened('the site rehearses no rollback, and says so');
  const remedy = 'start a new release, which rehearses it';
  if (rehearsal === null) return closed('the rollback was not rehearsed on staging', remedy);
  if (rehearsal.refresh !== staging?.refresh || rehearsal.kitHash !== upgrade?.kitHash) {
    return closed('the rollback was rehearsed with another staging or kit', remedy);
  }
  const parts = Object.entries(rehearsal.back).filter(([, isBack]) => isBack !== true);
  if (parts.length > 0) {
    return closed(
      `the rehearsed rollback did not bring back: ${parts.map(([part]) => part).join(', ')}`,
      'mend the rollback of the site, then start a new release',
    );
  }
  return opened('the rollback was rehearsed on staging and brought everything back');
}
