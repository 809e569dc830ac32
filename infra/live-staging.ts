import {
  ComponentResource,
  getRootDirectory,
  output,
  RunError,
  type ComponentResourceOptions,
  type Output,
} from '@pulumi/pulumi';
import { resolve } from 'node:path';
import type { DatabaseAddress } from '../src/databases/database.ts';
import type { SshEndpoint } from '../src/guest/guest.ts';
import type { MachineFacts } from '../src/machines/machines.ts';
import { LocalMachine } from './local.ts';
import { createOnVsphere } from './vsphere.ts';
import type { LiveStagingArgs, LocalStagingArgs } from './staging-args.ts';

/**
 * LIVE STAGING as code: a clone of the production machine on an isolated network, its data disk empty for the restore.
 *
 *     const staging = new LiveStaging('staging', { platform: 'local', source: 'live', local: { root: '.clona/machines' } });
 *     export const machine = staging.machine;
 */
export class LiveStaging extends ComponentResource {
  /** Everything clona reads of a stack; no secret is in it. */
  readonly machine: Output<MachineFacts>;
  readonly sshEndpoint: Output<SshEndpoint>;
  readonly hostKey: Output<string>;
  readonly database: Output<DatabaseAddress>;
  readonly createdAt: Output<string>;
  readonly expiresAt: Output<string | null>;

  constructor(name: string, args: LiveStagingArgs, options: ComponentResourceOptions = {}) {
    super('clona:index:LiveStaging', name, {}, options);
    this.machine = this.#create(name, args);
    this.sshEndpoint = this.machine.apply(({ guest }) => guest.endpoint);
    this.hostKey = this.machine.apply(({ guest }) => guest.hostKey);
    this.database = this.machine.apply(({ database }) => database);
    this.createdAt = this.machine.apply(({ createdAt }) => createdAt);
    this.expiresAt = output(this.machine).apply(({ expiresAt }) => expiresAt);
    const { machine, sshEndpoint, hostKey, database, createdAt, expiresAt } = this;
    this.registerOutputs({ machine, sshEndpoint, hostKey, database, createdAt, expiresAt });
  }

  #create(name: string, args: LiveStagingArgs): Output<MachineFacts> {
    const { platform, local, vsphere } = args;
    if (platform === 'vsphere' && vsphere !== undefined) {
      return createOnVsphere(this, args.name ?? name, { ...args, vsphere });
    }
    if (platform === 'local' && local !== undefined) return this.#createOnLocal(name, args, local);
    throw new RunError(`the platform ${platform} needs its settings: ${platform}: { … }`);
  }

  #createOnLocal(name: string, args: LiveStagingArgs, local: LocalStagingArgs): Output<MachineFacts> {
    const { source, isolation, expiresAt, timeToLiveMs, protect, labels, database } = args;
    // Relative folders count from the project's own (with `main` the process begins in another).
    const project = getRootDirectory() ?? '.';
    return new LocalMachine(
      args.name ?? name,
      {
        root: resolve(project, local.root),
        sourceRoot: resolve(project, local.sourceRoot ?? local.root),
        name: args.name ?? name,
        source,
        isolation,
        expiresAt,
        timeToLiveMs,
        protect: protect === true ? protect : undefined,
        labels: labels === undefined ? undefined : { ...labels },
        databaseName: database?.name,
        databaseUser: database?.user,
      },
      { parent: this, ...(protect === true ? { protect } : {}) },
    ).machine;
  }
}
