/** How a database is reached. `host` that begins with "/" is the folder of a Unix socket (libpq's convention). */
export interface DatabaseAddress {
  engine: 'postgres' | 'oracle';
  host: string;
  port: number;
  database: string;
  user: string;
  /** Resolved late from `env:` or `file:`; undefined: peer or trust. Never logged, never in argv. */
  password?: string | undefined;
  /** PostgreSQL: libpq's words; 'verify-full' checks certificate and name. Default disable; without meaning on a Unix socket. */
  sslMode?: 'disable' | 'require' | 'verify-full' | undefined;
  /** What only Oracle has. */
  oracle?: OracleAddress | undefined;
}

export interface OracleAddress {
  /** In place of host, port and database: EZConnect, a descriptor, or a name of tnsnames.ora in the wallet's folder. */
  connectString?: string | undefined;
  /** Folder of ewallet.pem (and tnsnames.ora), for TCPS. */
  walletDir?: string | undefined;
  walletPassword?: string | undefined;
  /** Default normal. SYSBACKUP gets into a database that is only mounted. */
  privilege?: 'normal' | 'sysbackup' | 'sysdba' | undefined;
  /** Asks the listener also for an instance that is restricted or only mounted (Net Services, UR=A). */
  evenRestricted?: boolean | undefined;
  /** IANA zone of the server's host, in which the DATEs of the control file are written. */
  timeZone?: string | undefined;
}
