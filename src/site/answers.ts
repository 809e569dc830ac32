/** What `clona init` asks for; everything else gets its default, written as a comment. */
export interface SiteAnswers {
  name: string;
  platform: 'local' | 'vsphere';
  live: string;
  engine: 'postgres' | 'oracle';
  /** Undefined: the database is the one on the live machine. */
  databaseUrl: string | undefined;
  archive: string;
  mirror: string | undefined;
  departments: readonly { name: string; keyUsers: readonly string[]; checks: readonly string[] }[];
  dba: string | undefined;
  businessCounts: readonly { name: string; sql: string }[];
  masking: readonly string[];
  kitSource: string | undefined;
  minimumGrade: number;
}
