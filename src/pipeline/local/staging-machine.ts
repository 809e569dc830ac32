import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { LiveStagingArgs } from '../../../infra/staging-args.ts';
import type { DatabaseAddress } from '../../databases/database.ts';
import { createStagingDirect, destroyStagingDirect } from '../../machines/pulumi/direct.ts';
import { createStaging, destroyStaging } from '../../machines/pulumi/staging.ts';
import type { StagingOptions } from '../../machines/pulumi/staging-options.ts';
import { resolveSecret } from '../../site/secret.ts';
import type { Site } from '../../site/site.ts';
import type { Machines } from '../../machines/machines.ts';
import type { Work } from '../machine/platform.ts';

/** `direct` is the demo's alone: no engine, no state but the machine itself. */
export type StagingEngine = 'pulumi' | 'direct';

/** A staging machine as code: the program of `pulumi up`. Made before by a step that was killed: it is the same one. */
export async function makeStaging(
  site: Site,
  engine: StagingEngine,
  name: string,
  database: DatabaseAddress,
  step: Work,
): Promise<{ isolation: string; engine: string }> {
  const args = stagingArgs(site, name, database);
  const made =
    engine === 'direct'
      ? await createStagingDirect(name, args, step.signal, step.onProgress)
      : await createStaging(await stagingOptions(site, name, step), args);
  return { isolation: made.machine.isolation, engine: made.engine };
}

export async function removeStaging(
  { site, machines }: { site: Site; machines: Machines },
  engine: StagingEngine,
  name: string,
  step: Work,
): Promise<void> {
  if (engine === 'pulumi') {
    // Asking the engine takes seconds: for a machine that never was nobody asks.
    const isThere = await machines.describe(name, step.signal).then(
      () => true,
      () => false,
    );
    const hasStack = await stat(join(site.control.directory, 'pulumi', 'work', name)).then(
      () => true,
      () => false,
    );
    if (isThere || hasStack) await destroyStaging(await stagingOptions(site, name, step));
    return;
  }
  // Whatever its database is called: the machine goes.
  const args = stagingArgs(site, name, { database: 'postgres', user: 'postgres' });
  await destroyStagingDirect(name, args, step.signal);
}

export function stagingArgs(
  site: Site,
  name: string,
  database: Pick<DatabaseAddress, 'database' | 'user'>,
): LiveStagingArgs {
  const { machines, staging } = site;
  return {
    platform: 'local',
    name,
    source: machines.live.name,
    timeToLiveMs: staging.timeToLive,
    labels: { site: site.name },
    // Restored from LIVE, it has LIVE's names inside.
    database: { name: database.database, user: database.user },
    local: { root: machines.root },
  };
}

export async function stagingOptions(site: Site, name: string, step: Work): Promise<StagingOptions> {
  const { backend, passphrase } = site.pulumi;
  return {
    name,
    folder: site.folder,
    stateFolder: site.control.directory,
    backend,
    passphrase: passphrase === undefined ? undefined : await resolveSecret(passphrase),
    // The site's lock is ours: an engine's lock whose process is gone was left by a run that was killed.
    breakLock: 'dead',
    signal: step.signal,
    onProgress: step.onProgress,
  };
}
