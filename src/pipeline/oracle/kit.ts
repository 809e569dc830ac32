import { ClonaError } from '../../errors.ts';
import type { Site } from '../../site/site.ts';
import type { MachineAccess } from '../machine/access.ts';
import { installKit } from '../machine/kit-and-smoke.ts';
import type { KitApplied, KitFound, Step } from '../operations.ts';
import { addressOf } from './sessions.ts';
import { applicationSchemas, liveInstance, oracleSection } from './settings.ts';

/** The steps of SQL*Plus run on the machine, as the operating system's own SYSDBA; what they left invalid is read by the driver. */
export async function installOracleKit(
  site: Site,
  machine: MachineAccess,
  kit: KitFound,
  staged: KitApplied | null,
  step: Step,
): Promise<KitApplied> {
  const { home, staging } = oracleSection(site);
  const isLive = machine.facts.role === 'live';
  return installKit(
    machine,
    {
      database: async () =>
        Promise.reject(
          new ClonaError('kitUnfit', 'sql steps are for PostgreSQL', {
            hint: 'take sqlplus steps for Oracle',
          }),
        ),
      sqlPlus: {
        logon: { kind: 'sysdba' },
        home: isLive ? home : (staging.home ?? home),
        instanceName: isLive ? liveInstance(site) : (staging.instance ?? staging.name),
        schema: applicationSchemas(site)[0],
        address: addressOf(machine),
      },
    },
    kit,
    staged,
    step,
  );
}
