import { CustomResource, type CustomResourceOptions, type Input, type Output } from '@pulumi/pulumi';
import type { MachineFacts } from '../src/machines/machines.ts';

export interface LocalMachineArgs {
  root: Input<string>;
  name: Input<string>;
  source: Input<string>;
  sourceRoot?: Input<string> | undefined;
  isolation?: Input<'network' | 'configuration'> | undefined;
  expiresAt?: Input<string> | undefined;
  timeToLiveMs?: Input<number> | undefined;
  protect?: Input<boolean> | undefined;
  labels?: Input<Record<string, Input<string>>> | undefined;
  databaseName?: Input<string> | undefined;
  databaseUser?: Input<string> | undefined;
}

/** A machine on this host, by our own provider (infra/local-provider). */
export class LocalMachine extends CustomResource {
  declare readonly machine: Output<MachineFacts>;

  constructor(name: string, args: LocalMachineArgs, options?: CustomResourceOptions) {
    super('clona-local:index:Machine', name, { ...args, machine: undefined }, options);
  }
}
