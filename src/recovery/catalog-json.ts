import type { Catalog } from './catalog.ts';

const text = (position: bigint | null): string | null => (position === null ? null : position.toString());

/** A catalog file (docs/catalog.md): what `parseCatalog` reads. Positions become decimal strings. */
export function catalogToJson(catalog: Catalog): Record<string, unknown> {
  const { incarnations, backups, logs, onlineLogs, changesWithoutRedo, idleThreads } = catalog;
  return {
    engine: catalog.engine,
    database: catalog.database,
    currentIncarnation: catalog.currentIncarnation,
    incarnations: incarnations.map((one) => ({ ...one, branchPosition: text(one.branchPosition) })),
    backups: backups.map((one) => ({
      ...one,
      start: text(one.start),
      consistentFrom: text(one.consistentFrom),
    })),
    logs: logs.map((one) => ({ ...one, first: text(one.first), next: text(one.next) })),
    onlineLogs: onlineLogs.map((one) => ({ ...one, first: text(one.first), end: text(one.end) })),
    ...(changesWithoutRedo === undefined
      ? {}
      : { changesWithoutRedo: changesWithoutRedo.map((one) => ({ ...one, position: text(one.position) })) }),
    ...(idleThreads === undefined
      ? {}
      : { idleThreads: idleThreads.map((one) => ({ ...one, from: text(one.from), to: text(one.to) })) }),
  };
}
