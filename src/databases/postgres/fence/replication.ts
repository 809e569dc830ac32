import { quoteIdentifier } from '../connect.ts';
import { namesOf, nowhere, setServerSettings, type FenceItem } from './item.ts';

/**
 * Following production, being followed in its place, and subscribing: a copy's subscription would consume the slot of
 * production's, and a slot restored with it would keep its log for nobody.
 */
export const replication: FenceItem = {
  name: 'replication',
  apply: async (context) => {
    const { server, databases } = context;
    await setServerSettings(context, {
      primary_conninfo: '',
      primary_slot_name: '',
      // A commit would wait for standbys that are production's.
      synchronous_standby_names: '',
      max_logical_replication_workers: '0',
    });
    for (const { session } of databases) {
      const subscriptions = await namesOf(
        session,
        `SELECT subname AS name FROM pg_subscription
         WHERE subdbid = (SELECT oid FROM pg_database WHERE datname = current_database())`,
      );
      for (const name of subscriptions) {
        const alter = `ALTER SUBSCRIPTION ${quoteIdentifier(name)}`;
        await session.query(`${alter} DISABLE`);
        // Without its slot a later DROP SUBSCRIPTION does not reach for production.
        await session.query(`${alter} SET (slot_name = NONE)`);
        await session.query(
          `${alter} CONNECTION 'host=${nowhere} dbname=fenced user=fenced password=fenced'`,
        );
      }
    }
    await server.query(
      `SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE active_pid IS NOT NULL`,
    );
    for (const name of await namesOf(server, `SELECT slot_name::text AS name FROM pg_replication_slots`)) {
      await server.query(`SELECT pg_drop_replication_slot($1)`, [name]);
    }
  },
  findHoles: async ({ server }) =>
    namesOf(
      server,
      `SELECT 'slot ' || slot_name AS name FROM pg_replication_slots
       UNION ALL SELECT 'subscription ' || subname || ' is enabled' FROM pg_subscription WHERE subenabled
       UNION ALL SELECT 'subscription ' || subname || ' knows another server' FROM pg_subscription
         WHERE subconninfo NOT LIKE 'host=${nowhere} %'
       UNION ALL SELECT name || ' is set' FROM pg_settings
         WHERE name IN ('primary_conninfo', 'primary_slot_name', 'synchronous_standby_names') AND setting <> ''
       UNION ALL SELECT 'process ' || backend_type FROM pg_stat_activity
         WHERE backend_type IN ('walsender', 'walreceiver', 'logical replication worker', 'logical replication apply worker')
       ORDER BY 1`,
    ),
};
