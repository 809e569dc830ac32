import { quoteIdentifier, quoteLiteral, type Connection } from '../connect.ts';
import { nowhere, type FenceItem } from './item.ts';

/** Options in which foreign data wrappers keep the address of the other side. */
const addressOptions = new Set([
  'host',
  'hostaddr',
  'address',
  'server',
  'servername',
  'svr_address',
  'dbserver',
  'dsn',
  'url',
  'uri',
  'endpoint',
  'service',
  'connection_string',
  'sys_connection',
]);
/** Wrappers of libpq: without a host they take the local socket, or what the environment says. */
const libpqWrappers = new Set(['postgres_fdw', 'dblink_fdw']);
/** Wrappers that read files of the server itself. */
const localWrappers = new Set(['file_fdw', 'cstore_fdw', 'parquet_fdw']);
const secretOptions = /pass|secret|token|key/i;

interface Server extends Record<string, unknown> {
  name: string;
  wrapper: string;
  options: Record<string, string>;
}

interface Mapping extends Record<string, unknown> {
  server: string;
  /** For the statement: a quoted role, or PUBLIC. */
  role: string;
  options: Record<string, string>;
}

/** Links to other databases: their servers lead nowhere, their users have no password. */
export const links: FenceItem = {
  name: 'database links',
  apply: async ({ databases }) => {
    for (const { session } of databases) {
      for (const server of await readServers(session)) {
        const changes = serverChanges(server);
        if (changes.length === 0) continue;
        await session.query(`ALTER SERVER ${quoteIdentifier(server.name)} OPTIONS (${changes.join(', ')})`);
      }
      for (const { server, role, options } of await readMappings(session)) {
        const changes = Object.keys(options)
          .filter((option) => secretOptions.test(option) && options[option] !== 'fenced')
          .map((option) => `SET ${quoteIdentifier(option)} 'fenced'`);
        if (changes.length === 0) continue;
        await session.query(
          `ALTER USER MAPPING FOR ${role} SERVER ${quoteIdentifier(server)} OPTIONS (${changes.join(', ')})`,
        );
      }
    }
  },
  findHoles: async ({ databases }) => {
    const holes: string[] = [];
    for (const { name, session } of databases) {
      for (const server of await readServers(session)) {
        const hole = describeHole(server);
        if (hole !== null) holes.push(`foreign server ${server.name} in ${name} ${hole}`);
      }
      for (const { server, role, options } of await readMappings(session)) {
        const open = Object.keys(options).some(
          (option) => secretOptions.test(option) && options[option] !== 'fenced',
        );
        if (open) holes.push(`user mapping of ${role} for ${server} in ${name} holds a secret`);
      }
    }
    return holes;
  },
};

function serverChanges({ wrapper, options }: Server): string[] {
  if (localWrappers.has(wrapper)) return [];
  const changes: string[] = [];
  for (const [option, value] of Object.entries(options)) {
    if (!addressOptions.has(option) || value === nowhere) continue;
    // A libpq service or address would win over the host.
    if (libpqWrappers.has(wrapper) && option !== 'host') changes.push(`DROP ${quoteIdentifier(option)}`);
    else changes.push(`SET ${quoteIdentifier(option)} ${quoteLiteral(nowhere)}`);
  }
  if (libpqWrappers.has(wrapper) && options['host'] === undefined)
    changes.push(`ADD host ${quoteLiteral(nowhere)}`);
  return changes;
}

function describeHole({ wrapper, options }: Server): string | null {
  if (localWrappers.has(wrapper)) return null;
  const addresses = Object.entries(options).filter(([option]) => addressOptions.has(option));
  const open = addresses.filter(([, value]) => value !== nowhere).map(([option]) => option);
  if (open.length > 0) return `leads out by ${open.join(', ')}`;
  if (addresses.length > 0) return null;
  return `(${wrapper}) keeps its address where clona does not know it: cut it off in staging.fence of the site file`;
}

async function readServers(session: Connection): Promise<Server[]> {
  return session.query<Server>(`
    SELECT s.srvname AS name, w.fdwname AS wrapper,
           coalesce((SELECT jsonb_object_agg(option_name, option_value) FROM pg_options_to_table(s.srvoptions)), '{}') AS options
    FROM pg_foreign_server s JOIN pg_foreign_data_wrapper w ON w.oid = s.srvfdw
    WHERE w.fdwhandler <> 0 OR w.fdwname = 'dblink_fdw' ORDER BY 1`);
}

async function readMappings(session: Connection): Promise<Mapping[]> {
  return session.query<Mapping>(`
    SELECT s.srvname AS server, CASE WHEN m.umuser = 0 THEN 'PUBLIC' ELSE quote_ident(r.rolname) END AS role,
           coalesce((SELECT jsonb_object_agg(option_name, option_value) FROM pg_options_to_table(m.umoptions)), '{}') AS options
    FROM pg_user_mapping m JOIN pg_foreign_server s ON s.oid = m.umserver LEFT JOIN pg_roles r ON r.oid = m.umuser
    ORDER BY 1, 2`);
}
