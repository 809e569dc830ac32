import type { OracleSql } from '../connect.ts';
import { findWrong, setParameters, type OracleFenceItem } from './item.ts';

const noServer = { smtp_out_server: '' };

export const mailServer: OracleFenceItem = {
  name: 'outgoing mail',
  apply: async ({ session }) => setParameters(session, noServer),
  findHoles: async ({ session }) => findWrong(session, noServer),
};

/** What may leave through UTL_SMTP, UTL_HTTP, UTL_TCP and UTL_MAIL. To resolve a name sends nothing. */
const aces = `SELECT HOST, LOWER_PORT, UPPER_PORT, PRINCIPAL, PRIVILEGE, PRINCIPAL_TYPE FROM DBA_HOST_ACES
  WHERE GRANT_TYPE = 'GRANT' AND UPPER(PRIVILEGE) <> 'RESOLVE' ORDER BY HOST, PRINCIPAL, PRIVILEGE`;

/** Rights inside of pluggable databases: a session in the root sees them, and cannot take them away. */
const acesOfPluggable = `SELECT CON_ID, HOST, PRINCIPAL, PRIVILEGE FROM CDB_HOST_ACES
  WHERE CON_ID > 2 AND GRANT_TYPE = 'GRANT' AND UPPER(PRIVILEGE) <> 'RESOLVE' ORDER BY CON_ID, HOST, PRINCIPAL, PRIVILEGE`;

export const networkRights: OracleFenceItem = {
  name: 'network access',
  apply: async ({ session }) => {
    for (const row of await session.query(aces)) {
      const [host = null, lower, upper, principal = null, privilege = null, type] = row;
      const binds = { host, lower: numberOrNull(lower), upper: numberOrNull(upper), principal, privilege };
      await session.execute(removeAce(type === 'APPLICATION' ? 'PTYPE_XS' : 'PTYPE_DB'), binds);
    }
  },
  findHoles: async ({ session }) => [
    ...(await session.query(aces)).map(([host, , , principal, privilege]) => say(principal, privilege, host)),
    ...(await pluggable(session)).map(
      ([container, host, principal, privilege]) =>
        `in pluggable database ${container ?? ''} ${say(principal, privilege, host)}: take it away there`,
    ),
  ],
};

async function pluggable(session: OracleSql): Promise<(string | null)[][]> {
  const [row] = await session.query('SELECT CDB FROM V$DATABASE');
  return row?.[0] === 'YES' ? session.query(acesOfPluggable) : [];
}

function say(
  principal: string | null | undefined,
  privilege: string | null | undefined,
  host: string | null | undefined,
): string {
  return `${principal ?? ''} may ${(privilege ?? '').toLowerCase()} to ${host ?? ''}`;
}

/** Database PL/SQL Packages and Types Reference, DBMS_NETWORK_ACL_ADMIN.REMOVE_HOST_ACE. */
function removeAce(principalType: 'PTYPE_DB' | 'PTYPE_XS'): string {
  return `BEGIN
  DBMS_NETWORK_ACL_ADMIN.REMOVE_HOST_ACE(host => :host, lower_port => :lower, upper_port => :upper,
    ace => XS$ACE_TYPE(privilege_list => XS$NAME_LIST(:privilege), principal_name => :principal,
      principal_type => XS_ACL.${principalType}), remove_empty_acl => TRUE);
  COMMIT;
END;`;
}

function numberOrNull(text: string | null | undefined): number | null {
  return text === null || text === undefined ? null : Number(text);
}
