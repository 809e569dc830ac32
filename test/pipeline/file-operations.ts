import { appendFileSync, existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ClonaError } from '../../src/errors.ts';
import type {
  Bearing,
  KitFound,
  Losses,
  Observation,
  Operations,
  SmokeRun,
  Step,
} from '../../src/pipeline/operations.ts';

interface Machine {
  version: string;
  schema: string;
  orders: number;
  incarnation: number;
  isUp: boolean;
  snapshots: Record<string, Omit<Machine, 'snapshots'>>;
}

export interface World {
  machines: Record<string, Machine>;
  isOpenForUsers: boolean;
  position: number;
  archivedTo: number;
  backups: string[];
  told: string[];
  /** Every effect that ever took place, in order: "operation machine detail". */
  effects: string[];
  /** Step key → result: what makes a repeated call harmless. */
  done: Record<string, unknown>;
}

export interface FileOperations extends Operations {
  read: () => World;
  /** Changes the world behind the pipeline's back: users at work, drift. */
  meddle: (change: (world: World) => void) => void;
}

export type KillPoint = (operation: string, phase: 'before' | 'after') => void;

/**
 * A world in one JSON file that is replaced in one go, so that a kill -9 finds it before or after an effect and
 * never in between. Kits are words: `good`, `breaks-sql`, `breaks-invariant`, `fails-on-live`, `smoke-fails-on-live`.
 */
export function createFileOperations(folder: string, killPoint: KillPoint = () => {}): FileOperations {
  mkdirSync(folder, { recursive: true });
  const path = join(folder, 'world.json');
  const read = (): World =>
    existsSync(path) ? (JSON.parse(readFileSync(path, 'utf8')) as World) : newWorld();
  const write = (world: World): void => {
    writeFileSync(`${path}.next`, JSON.stringify(world));
    renameSync(`${path}.next`, path);
  };
  if (!existsSync(path)) write(newWorld());

  /** Does `effect` once per key; a second call with the key gives the first one's result. */
  async function once<Result>(
    step: Step,
    name: string,
    effect: (world: World) => Result,
    detail: (result: Result) => string = () => '',
  ): Promise<Result> {
    step.signal.throwIfAborted();
    killPoint(name, 'before');
    const world = read();
    if (step.key in world.done) {
      appendFileSync(join(folder, 'repeated.txt'), `${name} ${step.key}\n`);
      // Kept by this very call.
      return world.done[step.key] as Result;
    }
    const result = effect(world);
    world.effects.push(`${name} ${detail(result)}`.trim());
    world.done[step.key] = result ?? null;
    write(world);
    killPoint(name, 'after');
    return result;
  }

  const machine = (world: World, name: string): Machine => {
    const found = world.machines[name];
    if (found === undefined) throw new ClonaError('machineFailed', `there is no machine ${name}`);
    return found;
  };
  const observe = (world: World, name: string): Observation => {
    const { version, schema, orders } = machine(world, name);
    return {
      at: new Date().toISOString(),
      counts: { orders: String(orders) },
      countsExact: true,
      fingerprint: schema,
      programVersion: version,
    };
  };

  return {
    read,
    meddle: (change) => {
      const world = read();
      change(world);
      write(world);
    },
    takeBackup: async (step, purpose, ifNeeded) =>
      once(step, `backup-${purpose}`, (world) => {
        if (ifNeeded && world.backups.length > 0) return null;
        const label = `B${world.backups.length + 1}`;
        world.backups.push(label);
        return { label, finishedAt: new Date().toISOString(), bytes: 1, grade: 1, seconds: 1 };
      }),
    markRestorePoint: async (step) =>
      once(step, 'mark', (world): Bearing => {
        world.position += 10;
        const { incarnation } = machine(world, 'live');
        return {
          ...observe(world, 'live'),
          position: String(world.position),
          incarnation,
          nextTransaction: '1',
          taken: null,
        };
      }),
    archiveLogTo: async (step, position) =>
      once(step, 'archive-log', (world) => {
        world.archivedTo = Math.max(world.archivedTo, Number(position));
        return { archivedTo: String(world.archivedTo) };
      }),
    observe: async (_step, name) => {
      killPoint(`observe-${name}`, 'before');
      return observe(read(), name);
    },
    planRestore: async (step) =>
      once(step, 'plan', (world) => ({
        backup: world.backups.at(-1) ?? '',
        bytesNeeded: 1,
        bytesFree: 2,
        secondsExpected: null,
        steps: [],
      })),
    createStaging: async (step, name) =>
      once(step, `create`, (world) => {
        const { version } = machine(world, 'live');
        world.machines[name] = { version, schema: '', orders: 0, incarnation: 0, isUp: false, snapshots: {} };
        return { isolation: 'network', engine: 'files' };
      }),
    destroyStaging: async (step, name) =>
      once(step, `destroy`, (world) => {
        delete world.machines[name];
      }),
    restoreIntoStaging: async (step, name, until) =>
      once(step, `restore`, (world) => {
        const { schema, orders, incarnation } = machine(world, 'live');
        Object.assign(machine(world, name), { schema, orders, incarnation: incarnation + 1, isUp: true });
        const backup = world.backups.at(-1) ?? '';
        return {
          backup,
          reached: until.position,
          coversUntil: new Date().toISOString(),
          lost: '',
          bytes: 1,
          logBytes: 1,
          seconds: 1,
          unpackSeconds: 1,
          redoSeconds: 1,
        };
      }),
    fenceStaging: async (step) => once(step, `fence`, () => ({ fenced: true, parts: ['archiving', 'mail'] })),
    proveStaging: async (step, name, backup, expected) =>
      once(step, `prove`, (world) => ({
        backup,
        grade: observe(world, name).counts['orders'] === expected.counts['orders'] ? 5 : 4,
        provenAt: new Date().toISOString(),
        findings: [],
      })),
    maskStaging: async (step) =>
      once(step, `mask`, () => ({
        maskedAt: new Date().toISOString(),
        files: [{ name: 'mask.sql', sha256: '00' }],
        statements: [],
      })),
    readKit: async (step, source) => once(step, 'kit', () => kitOf(source.source)),
    applyKit: async (step, name, kit) =>
      once(
        step,
        `install-${name === 'live' ? 'live' : 'staging'}`,
        (world) => {
          const target = machine(world, name);
          const fails = kit.name === 'breaks-sql' || (kit.name === 'fails-on-live' && name === 'live');
          target.schema = `${target.schema}+${kit.version}`;
          if (!fails) target.version = kit.version;
          if (kit.name === 'breaks-invariant') target.orders -= 1;
          return {
            kit: { name: kit.name, version: kit.version, hash: kit.hash },
            outcome: fails ? ('failed' as const) : ('succeeded' as const),
            failedStep: fails ? 'migrate' : null,
            failure: fails ? 'the migration broke' : null,
            versionBefore: '2.0',
            versionAfter: target.version,
            procedureHash: kit.procedureHash,
            steps: [],
            startedAt: new Date().toISOString(),
            finishedAt: new Date().toISOString(),
          };
        },
        () => kit.version,
      ),
    runSmoke: async (step, name) =>
      once(step, `smoke-${name === 'live' ? 'live' : 'staging'}`, (world): SmokeRun => {
        const broken = machine(world, name).orders !== machine(world, 'live').orders;
        const failing = name === 'live' && machine(world, name).version === '2.9';
        return {
          checksHash: 'checks-1',
          passed: broken || failing ? 1 : 2,
          failed: broken ? ['orders are whole'] : failing ? ['invoices print'] : [],
          finishedAt: new Date().toISOString(),
          report: null,
        };
      }),
    readHashes: async (_signal, kit) => {
      const changed = existsSync(join(folder, 'kit-changed'));
      return { kit: changed ? 'other' : kit.hash, procedure: kit.procedureHash, checks: 'checks-1' };
    },
    snapshot: async (step, name, snapshot) =>
      once(step, `snapshot-${name === 'live' ? 'live' : 'staging'}`, (world) => {
        const { snapshots, ...state } = machine(world, name);
        snapshots[snapshot] = structuredClone(state);
        return { name: snapshot, createdAt: new Date().toISOString(), escapes: [] };
      }),
    revert: async (step, name, snapshot) =>
      once(step, `revert-${name === 'live' ? 'live' : 'staging'}`, (world) => {
        const target = machine(world, name);
        const kept = target.snapshots[snapshot];
        if (kept === undefined) throw new ClonaError('machineFailed', `there is no snapshot ${snapshot}`);
        const { incarnation } = target;
        Object.assign(target, structuredClone(kept), { isUp: false, incarnation });
      }),
    removeSnapshot: async (step, name, snapshot) =>
      once(step, `forget`, (world) => {
        if (world.machines[name] !== undefined) delete world.machines[name].snapshots[snapshot];
      }),
    listSnapshots: async (_signal, name) => Object.keys(machine(read(), name).snapshots),
    reopen: async (step, name) =>
      once(step, `reopen-${name === 'live' ? 'live' : 'staging'}`, (world) => {
        const target = machine(world, name);
        target.isUp = true;
        target.incarnation += 1;
        return { incarnation: target.incarnation, branchPosition: String(world.position) };
      }),
    closeForUsers: async (step) =>
      once(step, 'close', (world) => {
        world.isOpenForUsers = false;
      }),
    drain: async (step) => once(step, 'drain', () => {}),
    openForUsers: async (step) =>
      once(step, 'open', (world) => {
        if (!machine(world, 'live').isUp) throw new ClonaError('machineFailed', 'LIVE is down');
        world.isOpenForUsers = true;
      }),
    countLosses: async (_signal, bearing): Promise<Losses> => ({
      transactions: String(read().machines['live']!.orders - Number(bearing.counts['orders'])),
      logBytes: '0',
      counts: {},
    }),
    archivedUntil: async () => new Date().toISOString(),
    logSpool: async () => null,
    logStreams: async () => [],
    leftSlots: async () => [],
    stoppedLive: async () => null,
    notify: async (step, event) =>
      once(step, 'notify', (world) => {
        world.told.push(event);
      }),
  };
}

function kitOf(source: string): KitFound {
  const [name = '', version = ''] = source.split('@');
  return {
    name,
    version,
    hash: `hash-${source}`,
    procedureHash: `steps-${source}`,
    steps: ['migrate'],
    source,
    folder: '',
  };
}

function newWorld(): World {
  return {
    machines: {
      live: { version: '2.0', schema: 's', orders: 100, incarnation: 1, isUp: true, snapshots: {} },
    },
    isOpenForUsers: true,
    position: 100,
    archivedTo: 0,
    backups: [],
    told: [],
    effects: [],
    done: {},
  };
}
