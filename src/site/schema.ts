import { z } from 'zod';
import { archive, database, departments, dba, machines, guest, staging } from './sections.ts';
import { control, kit, notify, promotion, pulumi, schedule, serve, smoke } from './release-sections.ts';
import { name } from './fields.ts';

/**
 * The shape of clona.yaml. Relative paths are resolved against `folder`. What comes out is `Site`: durations in
 * milliseconds, sizes in bytes, percentages as numbers, paths absolute, secrets as references.
 */
export function createSiteSchema(folder: string) {
  return z
    .strictObject({
      name: name('the name of the site; it stands in every record of evidence'),
      machines: machines(folder),
      guest: guest(folder).optional(),
      database: database(folder),
      archive: archive(folder),
      staging: staging(folder),
      kit: kit(folder),
      smoke: smoke(folder),
      departments: departments(),
      dba: dba(),
      promotion: promotion(),
      schedule: schedule(),
      notify: notify(folder),
      control: control(folder),
      pulumi: pulumi(folder),
      serve: serve(folder),
    })
    .superRefine((site, context) => {
      if (site.staging.name === site.machines.live.name) {
        context.addIssue({
          code: 'custom',
          path: ['staging', 'name'],
          message: 'the staging machine has the name of the live machine: a clone is another machine',
        });
      }
      refuseLocalNames(site, context);
      if (site.machines.platform === 'vsphere' && site.machines.vsphere === undefined) {
        context.addIssue({
          code: 'custom',
          path: ['machines', 'vsphere'],
          message: 'is missing: the platform vsphere needs it',
        });
      }
    });
}

/** Folder and host names on the platform local. */
function refuseLocalNames(
  {
    machines,
    staging,
  }: { machines: { platform: string; live: { name: string } }; staging: { name: string } },
  context: z.RefinementCtx,
): void {
  if (machines.platform !== 'local') return;
  const names: [string[], string][] = [
    [['machines', 'live', 'name'], machines.live.name],
    [['staging', 'name'], staging.name],
  ];
  for (const [path, name] of names) {
    if (/^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/.test(name)) continue;
    const message = 'is no name of a local machine: small letters, digits and dashes, at most 63';
    context.addIssue({ code: 'custom', path, message });
  }
}

export type SiteSections = z.output<ReturnType<typeof createSiteSchema>>;
