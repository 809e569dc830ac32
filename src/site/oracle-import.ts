import { z } from 'zod';
import { flag, integer, path, secret, text } from './fields.ts';

const tablespace = (description: string) =>
  z
    .string()
    .regex(/^[^"\p{Cc}]{1,30}$/u)
    .meta({ title: 'the name of a tablespace', examples: ['CLONA_DATA'], description });

/** Point 4 of the grades for Oracle: the newest export by proof, imported into schemas of our own. */
export const oracleImport = (folder: string) =>
  z
    .strictObject({
      schemas: z
        .array(text('a schema of LIVE; one in mixed case in double quotes: \'"Erp"\''))
        .min(1)
        .meta({ title: 'a list of schemas', description: 'the schemas that are imported and proven' }),
      prefix: text('what the copies are called by: CLONA makes CLONA_ERP of ERP', ['CLONA', 'X']).default(
        'CLONA',
      ),
      directory: text('the DIRECTORY object of the server that imports, where the exports lie', ['DUMPS']),
      folder: path(folder, 'the same folder as this host sees it'),
      connectString: text(
        "the server that imports; default: the database's own, for a CLONA schema on LIVE's server",
        ['staging:1521/erp'],
      ).optional(),
      compareWithLive: flag(
        "compare with LIVE's own schemas before and after; off where they have changed since",
      ).default(false),
      tablespaces: z
        .record(tablespace("LIVE's tablespace"), tablespace('the one of the copies'))
        .default({})
        .meta({ description: "from LIVE's tablespaces to those of the copies" }),
      defaultTablespace: tablespace('where the copies lie'),
      encryptionPassword: secret(folder, 'the ENCRYPTION_PASSWORD of the exports').optional(),
      acceptCharacterLoss: flag(
        'import although the character set of this server lacks letters of the dump: they become replacement signs',
      ).default(false),
      parallel: integer(1, 64, 'workers of the import; more than 1 is a paid feature').default(1),
      parallelLicensed: flag('this server may use Data Pump in parallel (Enterprise Edition)').default(false),
      liveNames: z
        .enum(['refuse', 'rewrite'])
        .default('refuse')
        .meta({ description: "what is done with code that names LIVE's schema outright" }),
      accepted: z
        .array(text('TYPE NAME of an object', ['PROCEDURE PAY']))
        .default([])
        .meta({
          title: 'a list of objects',
          description: 'objects whose strings or wrapped code somebody has read, and answers for',
        }),
    })
    .meta({ description: 'grade 4: the newest export, imported into the CLONA schema' });
