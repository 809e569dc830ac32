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
}
