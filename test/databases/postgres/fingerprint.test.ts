import { afterAll, beforeAll, expect, test } from 'vitest';
import { takeFingerprint } from '../../../src/databases/postgres/fingerprint.ts';
import { createTestCluster, type TestCluster } from '../../support/cluster.ts';

let cluster: TestCluster;
const signal = new AbortController().signal;
const fingerprint = async (database: string): Promise<string> =>
  (await takeFingerprint({ ...cluster.address, database }, signal)).hash;

beforeAll(async () => {
  cluster = await createTestCluster();
  await using session = await cluster.connect();
  await session.query('create database erp');
  const erp = await cluster.connect('erp');
  await erp.query(`
    create schema s; create type s.mood as enum ('ok', 'sad'); create domain s.money as numeric(12,2) check (value >= 0);
    create table s.a (id bigint generated always as identity primary key, x s.money not null default 0, m s.mood, y int, z int generated always as (y * 2) stored);
    create table s.p (id int, at date) partition by range (at);
    create table s.p1 partition of s.p for values from ('2026-01-01') to ('2027-01-01');
    create index a_x on s.a (x); create view s.v as select id, x from s.a;
    create function s.f(int) returns int language sql as 'select $1 + 1';
    create function s.t() returns trigger language plpgsql as 'begin return new; end';
    create trigger a_t before insert on s.a for each row execute function s.t();
    alter table s.a enable row level security; create policy own on s.a using (id > 0);
    create aggregate s.total(int) (sfunc = int4pl, stype = int, initcond = '0');
    insert into s.a (x, m, y) select 1, 'ok', g from generate_series(1, 10) g`);
  await erp[Symbol.asyncDispose]();
  await session.query('create database copy template erp strategy file_copy');
});
afterAll(async () => cluster[Symbol.asyncDispose]());

test('the fingerprint of a copy is the same, whatever its rows, sequences and search_path', async () => {
  await using copy = await cluster.connect('copy');
  await copy.query(
    'delete from s.a; insert into s.a (y) values (1); analyze; alter database copy set search_path = s',
  );
  expect(await fingerprint('copy')).toBe(await fingerprint('erp'));
});

test.each([
  'alter table s.a add column w int',
  'alter table s.p alter column id type bigint',
  'alter table s.a alter column x set default 1',
  'alter table s.a alter column y set not null',
  'alter table s.a drop column y cascade',
  'alter table s.a add constraint pos check (y > 0) not valid',
  'drop index s.a_x',
  'create index a_y on s.a (y)',
  'create or replace view s.v as select id, x from s.a where id > 1',
  "create or replace function s.f(int) returns int language sql as 'select $1 + 2'",
  'drop trigger a_t on s.a',
  'alter table s.a disable trigger a_t',
  "alter type s.mood add value 'new'",
  'alter domain s.money drop constraint money_check',
  'alter table s.p detach partition s.p1',
  'alter policy own on s.a using (id > 1)',
  'alter table s.a disable row level security',
  'create schema other',
  'create extension amcheck',
  'alter sequence s.a_id_seq increment 5',
])('it is another one after: %s', async (statement) => {
  await using admin = await cluster.connect();
  await admin.query('drop database if exists changed');
  await admin.query('create database changed template erp strategy file_copy');
  await using changed = await cluster.connect('changed');
  await changed.query(statement);
  expect(await fingerprint('changed')).not.toBe(await fingerprint('erp'));
});
