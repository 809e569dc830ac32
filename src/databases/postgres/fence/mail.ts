import { quoteIdentifier, quoteLiteral } from '../connect.ts';
import { namesOf, nowhere, quoteSetting, type FenceItem } from './item.ts';

/** Settings of the site's own or of extensions that name a mail server: erp.smtp_host, pg_mail.server … */
const mailSetting = `(smtp|mail)[^.]*(host|server|url|relay|gateway|address)|\\.(smtp|mail_?(host|server|relay))$`;

interface StoredSetting extends Record<string, unknown> {
  database: string | null;
  role: string | null;
  name: string;
}

/**
 * Outgoing mail as far as a database knows of it: every setting that names a mail server, for the whole server, a
 * database or a role. Mail that programs send by themselves is cut off by the isolated network and by the site's own items.
 */
export const mail: FenceItem = {
  name: 'outgoing mail',
  apply: async (context) => {
    const { server } = context;
    // Settings of the site's own are not in pg_settings: they are found in the files.
    for (const name of await namesOf(server, `SELECT DISTINCT name ${inFiles}`)) {
      await server.query(`ALTER SYSTEM SET ${quoteSetting(name)} = ${quoteLiteral(nowhere)}`);
    }
    await server.query('SELECT pg_reload_conf()');
    for (const { database, role, name } of await server.query<StoredSetting>(storedSettings)) {
      const owner =
        role === null
          ? `DATABASE ${quoteIdentifier(database ?? '')}`
          : `ROLE ${quoteIdentifier(role)}${database === null ? '' : ` IN DATABASE ${quoteIdentifier(database)}`}`;
      await server.query(`ALTER ${owner} SET ${quoteSetting(name)} = ${quoteLiteral(nowhere)}`);
    }
  },
  findHoles: async ({ server }) => {
    const stored = (await server.query<StoredSetting>(storedSettings)).map(
      ({ database, role, name }) =>
        `${name} of ${[role, database].filter((one) => one !== null).join(' in ')}`,
    );
    const files = await namesOf(
      server,
      `SELECT DISTINCT name || ' in ' || regexp_replace(sourcefile, '^.*/', '') AS name ${inFiles}`,
    );
    return [...stored, ...files];
  },
};

/** The last one wins, as for the server. */
const inFiles = `FROM pg_file_settings s
  WHERE name ~* '${mailSetting}' AND setting NOT IN ('', '${nowhere}')
    AND seqno = (SELECT max(seqno) FROM pg_file_settings f WHERE f.name = s.name)`;

const storedSettings = `
  SELECT d.datname AS database, r.rolname AS role, split_part(setting, '=', 1) AS name
  FROM pg_db_role_setting s LEFT JOIN pg_database d ON d.oid = s.setdatabase LEFT JOIN pg_roles r ON r.oid = s.setrole,
    unnest(s.setconfig) AS setting
  WHERE split_part(setting, '=', 1) ~* '${mailSetting}' AND substr(setting, strpos(setting, '=') + 1) NOT IN ('', '${nowhere}')
  ORDER BY 1, 2, 3`;
