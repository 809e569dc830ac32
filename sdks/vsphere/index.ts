export * from './resources.ts';
export * from './functions.ts';
export * as types from './types.ts';
