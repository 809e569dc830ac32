import { z } from 'zod';
import { integer, secret, size, text } from './fields.ts';

/** The database on the clones: what the pipeline restores, where, and how it gets in. */
export const oracleStaging = (folder: string) =>
  z
    .strictObject({
      name: z
        .string()
        .regex(/^[A-Za-z][A-Za-z0-9_#$]{0,7}$/)
        .default('CLONA')
        .meta({
          title: 'up to eight letters and digits, beginning with a letter',
          examples: ['CLONA'],
          description: "DB_NAME and service of the clones; never production's",
        }),
      instance: text('ORACLE_SID on the clones; default: name').optional(),
      home: text('ORACLE_HOME on the clones; default: home').optional(),
      dataDir: text(
        'where datafiles, control file and online log go, as the guest sees it; default: oradata on the data disk',
      ).optional(),
      recoveryDir: text("the clones' own recovery area; default: recovery on the data disk").optional(),
      recoverySize: size('how full it may get').prefault('50GB'),
      archives: z.array(text('a folder, as the clone sees it')).default([]).meta({
        title: 'a list of folders',
        description:
          'where a clone sees backups and archived logs, read-only, under the paths of production; default: archive.location',
      }),
      clear: z.array(text('a folder, as the clone sees it')).default([]).meta({
        title: 'a list of folders',
        description: "full clones: folders with production's datafiles, emptied before the restore",
      }),
      channels: integer(1, 64, 'channels of RMAN; more than 1 is for Enterprise Edition').default(1),
      memory: size('SGA_TARGET of the clones; default: as the server chooses').optional(),
      user: text(
        'who reads the database of a clone; default: database.user, whom the restore brings',
      ).optional(),
      password: secret(folder, 'its password on the clones; default: database.password').optional(),
      privilege: z
        .enum(['normal', 'sysdba'])
        .default('normal')
        .meta({ description: 'the privilege it connects with; sysdba needs a password file on the clones' }),
    })
    .prefault({})
    .meta({ description: 'the database on the clones' });
