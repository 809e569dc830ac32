/**
 * The yellow and the red zone (R12): how full the archive and the log area are, where that leads, and what is done
 * about it, in order. Pure: the guard of src/pipeline measures and acts.
 */
export interface ZoneSettings {
  /** Shares of the area's size, 0 to 1, yellow < red. */
  yellow: number;
  red: number;
  /** At which zone new transactions are blocked; the classic procedure blocks in yellow already. */
  blockAt: 'yellow' | 'red';
}

export interface Area {
  name: string;
  totalBytes: number;
  usedBytes: number;
  /** Earlier measurements, any order; instants in milliseconds. */
  history: readonly { atMs: number; usedBytes: number }[];
}

export interface ZoneFacts {
  areas: readonly Area[];
  /** Obsolete backups and logs below the low water mark. */
  obsoleteBytes: number;
  /** Archived logs that are not compressed yet, or lie in the first destination alone. */
  movableLogBytes: number;
  /** What a backup now would bring: whether the mark rises, what may go then, how much room the backup needs. */
  backupNow: {
    raisesMark: boolean;
    freesBytes: number;
    needsBytes: number;
    /** Where it goes; default `archive`. What is obsolete lies there, too. */
    area?: string;
  };
  /** Where a quiesced backup differs from that one in size and place. */
  quiescedNow?: { needsBytes: number; area: string };
  /** The state we are in: what an earlier decision began and nobody ended. */
  refreshesHeld: boolean;
  transactionsBlocked: boolean;
}

export type Zone = 'green' | 'yellow' | 'red';

export type ZoneActionKind =
  | 'hold-refreshes'
  | 'compress-and-move-logs'
  | 'remove-obsolete'
  | 'force-backup'
  | 'block-transactions'
  | 'quiesced-backup'
  | 'restart-log'
  | 'unblock-transactions'
  | 'release-refreshes'
  | 'page-human';

export interface ZoneAction {
  kind: ZoneActionKind;
  reason: string;
  freesBytes: number;
}

export interface AreaForecast {
  name: string;
  share: number;
  zone: Zone;
  /** Bytes a second over the history; null when there is too little of it. */
  growth: number | null;
  /** Milliseconds until the limit is passed at this growth; null: never, or unknown. 0: passed. */
  yellowInMs: number | null;
  redInMs: number | null;
  fullInMs: number | null;
}

export interface ZoneDecision {
  zone: Zone;
  areas: AreaForecast[];
  actions: ZoneAction[];
}

/** Says which zone each area is in, when the next one comes, and what to do, in order. The worst area decides. */
export function decideZone(facts: ZoneFacts, settings: ZoneSettings, nowMs: number): ZoneDecision {
  const areas = facts.areas.map((area) => forecast(area, settings, nowMs));
  const zone = worst(areas.map((area) => area.zone));
  if (zone === 'green') return { zone, areas, actions: calm(facts) };
  const fits = facts.backupNow.needsBytes <= roomIn(facts.areas, facts.backupNow.area) + facts.obsoleteBytes;
  const { quiescedNow } = facts;
  const quiescedFits =
    quiescedNow === undefined ? fits : quiescedNow.needsBytes <= roomIn(facts.areas, quiescedNow.area);
  const blocks = zone === 'red' || settings.blockAt === 'yellow';
  const harsh = blocks ? blocking(facts, settings, zone, quiescedFits) : pageIfHelpless(facts, fits);
  return { zone, areas, actions: [...mild(facts, zone, fits), ...harsh] };
}

function calm(facts: ZoneFacts): ZoneAction[] {
  const actions: ZoneAction[] = [];
  if (facts.transactionsBlocked)
    actions.push(act('unblock-transactions', 'every area is green again: writers go on'));
  if (facts.refreshesHeld)
    actions.push(act('release-refreshes', 'every area is green again: waiting refreshes go on'));
  return actions;
}

/** Everything that hurts nobody, cheapest first. */
function mild(facts: ZoneFacts, zone: Zone, fits: boolean): ZoneAction[] {
  const actions: ZoneAction[] = [];
  if (!facts.refreshesHeld)
    actions.push(act('hold-refreshes', `the ${zone} zone is reached: new refreshes wait`));
  if (facts.movableLogBytes > 0) {
    const reason =
      'archived logs are needed only to redo a backup: compressed, in the second destination, they still serve (R13)';
    actions.push(act('compress-and-move-logs', reason, facts.movableLogBytes));
  }
  if (facts.obsoleteBytes > 0) {
    actions.push(
      act(
        'remove-obsolete',
        'obsolete backups and logs below the low water mark (R10, R11)',
        facts.obsoleteBytes,
      ),
    );
  }
  if (facts.backupNow.raisesMark && fits) {
    actions.push(
      act('force-backup', 'a backup now raises the low water mark, and it fits', facts.backupNow.freesBytes),
    );
  }
  return actions;
}

function blocking(facts: ZoneFacts, settings: ZoneSettings, zone: Zone, fits: boolean): ZoneAction[] {
  if (!fits) {
    const reason =
      'a quiesced backup does not fit any more, and no log above the low water mark may ever go (R11): give the archive room';
    return [act('page-human', reason)];
  }
  const why = `the ${zone} zone is reached and zone.blockAt is ${settings.blockAt}: new transactions wait, running ones end`;
  return [
    ...(facts.transactionsBlocked ? [] : [act('block-transactions', why)]),
    act(
      'quiesced-backup',
      'consistent by itself: it needs no log from before it',
      facts.backupNow.freesBytes,
    ),
    act('restart-log', 'the log begins anew behind the backup'),
    act('unblock-transactions', 'the backup is whole: writers go on'),
    ...(zone === 'red'
      ? [act('page-human', 'the red zone was reached: somebody should give the archive room')]
      : []),
  ];
}

/** In yellow nobody is blocked; but when nothing mild can help, a human must know before red. */
function pageIfHelpless(facts: ZoneFacts, fits: boolean): ZoneAction[] {
  const backupHelps = facts.backupNow.raisesMark && fits;
  const helpless = facts.movableLogBytes === 0 && facts.obsoleteBytes === 0 && !backupHelps;
  return helpless
    ? [act('page-human', 'nothing may go and no backup would help: give the archive room')]
    : [];
}

function act(kind: ZoneActionKind, reason: string, freesBytes = 0): ZoneAction {
  return { kind, reason, freesBytes };
}

/** A backup goes to its own area, however much room another one has. */
function roomIn(areas: readonly Area[], area = 'archive'): number {
  const own = areas.filter(({ name }) => name === area);
  const places = own.length > 0 ? own : areas;
  return Math.max(0, ...places.map((area) => area.totalBytes - area.usedBytes));
}

function worst(zones: readonly Zone[]): Zone {
  return zones.includes('red') ? 'red' : zones.includes('yellow') ? 'yellow' : 'green';
}

function forecast(area: Area, settings: ZoneSettings, nowMs: number): AreaForecast {
  const share = area.totalBytes === 0 ? 1 : area.usedBytes / area.totalBytes;
  const growth = growthPerSecond(
    [...area.history, { atMs: nowMs, usedBytes: area.usedBytes }],
    area.totalBytes,
  );
  const inMs = (limit: number): number | null => {
    const missing = limit * area.totalBytes - area.usedBytes;
    if (missing <= 0) return 0;
    return growth === null || growth <= 0 ? null : Math.round((missing / growth) * 1000);
  };
  return {
    name: area.name,
    share,
    zone: share >= settings.red ? 'red' : share >= settings.yellow ? 'yellow' : 'green',
    growth,
    yellowInMs: inMs(settings.yellow),
    redInMs: inMs(settings.red),
    fullInMs: inMs(1),
  };
}

/** So much less than at the look before, as a share of the area, and something was removed. */
const removalShare = 0.01;

/**
 * Least squares through the measurements since something was removed, or, where these are too few, before that: an area
 * that is tidied up again and again fills just as fast as one that is not. Bytes a second; null: too few.
 */
function growthPerSecond(points: readonly Measurement[], totalBytes: number): number | null {
  const stretches: Measurement[][] = [];
  for (const point of points.toSorted((a, b) => a.atMs - b.atMs)) {
    const last = stretches.at(-1);
    const before = last?.at(-1);
    const isRemoval = before !== undefined && point.usedBytes < before.usedBytes - removalShare * totalBytes;
    if (last === undefined || isRemoval) stretches.push([point]);
    else last.push(point);
  }
  return slopeOf(stretches.findLast(({ length }) => length >= 3) ?? points);
}

interface Measurement {
  atMs: number;
  usedBytes: number;
}

function slopeOf(points: readonly Measurement[]): number | null {
  if (points.length < 3) return null;
  const meanAt = mean(points.map((point) => point.atMs));
  const meanUsed = mean(points.map((point) => point.usedBytes));
  let covariance = 0;
  let variance = 0;
  for (const { atMs, usedBytes } of points) {
    covariance += (atMs - meanAt) * (usedBytes - meanUsed);
    variance += (atMs - meanAt) ** 2;
  }
  return variance === 0 ? null : (covariance / variance) * 1000;
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

/**
 * The action to do now, before everything is measured again. `doneInRun`: not twice in one run, but that a backup makes
 * other things obsolete; `doneInZone`: since the zone last changed: a human is paged once, and writers are blocked once,
 * since a second quiesced backup beside the first would only fill the archive. Null: nothing is left to do.
 */
export function nextAction(
  { actions }: ZoneDecision,
  doneInRun: ReadonlySet<ZoneActionKind>,
  doneInZone: ReadonlySet<ZoneActionKind>,
): ZoneAction | null {
  // In a zone that blocks, the quiesced backup is the one that is forced.
  const quiesces = actions.some(({ kind }) => kind === 'quiesced-backup');
  const waits = new Set<ZoneActionKind>([
    ...(quiesces ? (['force-backup'] as const) : []),
    ...(doneInZone.has('quiesced-backup') ? blockingKinds : []),
    ...(doneInZone.has('page-human') ? (['page-human'] as const) : []),
  ]);
  return actions.find(({ kind }) => !waits.has(kind) && !doneInRun.has(kind)) ?? null;
}

/** One piece of work: where it fails it is not begun again by its next part. */
export const blockingKinds = [
  'block-transactions',
  'quiesced-backup',
  'restart-log',
  'unblock-transactions',
] as const satisfies ZoneActionKind[];

const units = [
  ['d', 86_400_000],
  ['h', 3_600_000],
  ['min', 60_000],
  ['s', 1000],
] as const;

/** "3 h 10 min", "2 d 4 h", "45 s": the two largest units. */
export function describeDuration(ms: number): string {
  const first = units.findIndex(([, size]) => ms >= size);
  if (first === -1) return '0 s';
  const parts: string[] = [];
  let rest = ms;
  for (const [name, size] of units.slice(first, first + 2)) {
    const count = Math.floor(rest / size);
    rest -= count * size;
    if (count > 0) parts.push(`${count} ${name}`);
  }
  return parts.join(' ');
}

/** One line an area: "archive 83 % (yellow), red in 3 h 10 min". */
export function explainZone(decision: ZoneDecision): string[] {
  return decision.areas.map((area) => {
    const [next, inMs] = nextLimit(area);
    const when = inMs === null ? '' : inMs === 0 ? `, ${next} now` : `, ${next} in ${describeDuration(inMs)}`;
    return `${area.name} ${Math.floor(area.share * 100)} % (${area.zone})${when}`;
  });
}

function nextLimit(area: AreaForecast): readonly [string, number | null] {
  if (area.zone === 'green') return ['yellow', area.yellowInMs];
  return area.zone === 'yellow' ? ['red', area.redInMs] : ['full', area.fullInMs];
}
