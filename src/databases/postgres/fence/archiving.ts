import { namesOf, setServerSettings, type FenceItem } from './item.ts';

/**
 * Log archiving and all that touches an archive: a copy has production's system identifier, so its segments would lie
 * beside production's under the same names (R21), and a cleanup command would delete there.
 */
export const archiving: FenceItem = {
  name: 'log archiving',
  apply: async (context) =>
    setServerSettings(context, {
      archive_mode: 'off',
      archive_command: '',
      archive_library: '',
      restore_command: '',
      archive_cleanup_command: '',
      recovery_end_command: '',
    }),
  findHoles: async ({ server }) =>
    namesOf(
      server,
      // archive_mode changes with a restart only: with no command and no library nothing is archived either.
      `SELECT name || ' = ' || setting AS name FROM pg_settings
       WHERE name IN ('archive_command', 'archive_library') AND setting NOT IN ('', '(disabled)')
         AND current_setting('archive_mode') <> 'off'
          OR name IN ('restore_command', 'archive_cleanup_command', 'recovery_end_command') AND setting <> ''
       UNION ALL
       SELECT 'the archiver has archived ' || last_archived_wal || ' here' FROM pg_stat_archiver
       WHERE last_archived_time > pg_postmaster_start_time() AND current_setting('archive_mode') <> 'off'
       ORDER BY 1`,
    ),
};
