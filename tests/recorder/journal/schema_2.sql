-- A journal of schema 2: one shipped, one in doubt and settling, one rejected, one discarded, two pending.
PRAGMA application_id = 1920169076;
PRAGMA user_version = 2;
BEGIN TRANSACTION;
CREATE TABLE "_sqlite_migrations" (
   "id" INTEGER PRIMARY KEY,
   "migration_set" TEXT,
   "name" TEXT,
   "applied_at" TEXT
);
INSERT INTO "_sqlite_migrations" VALUES(1,'restante','first_schema','2026-11-25 12:36:25.688765+00:00');
INSERT INTO "_sqlite_migrations" VALUES(2,'restante','shipping_under_fire','2026-11-25 12:36:25.693553+00:00');
CREATE TABLE "attempts" (
   "id" INTEGER PRIMARY KEY,
   "lane" TEXT NOT NULL,
   "epoch" INTEGER NOT NULL,
   "first" INTEGER NOT NULL,
   "last" INTEGER NOT NULL,
   "picked" TEXT,
   "updates" INTEGER NOT NULL,
   "bytes" INTEGER NOT NULL,
   "digest" TEXT NOT NULL,
   "started_at" REAL NOT NULL,
   "ended_at" REAL,
   "outcome" TEXT,
   "status" INTEGER,
   "words" TEXT NOT NULL DEFAULT '',
   "times" INTEGER NOT NULL DEFAULT 1
);
INSERT INTO "attempts" VALUES(1,'people',1,1,1,NULL,1,80,'d92d9beeb5cb2586',1700000005.0,1700000006.0,'shipped',200,'',1);
INSERT INTO "attempts" VALUES(2,'people',2,2,2,NULL,1,78,'d27f0f9c9a87cc05',1700000011.0,1700000012.0,'unknown',NULL,'the connection was reset',1);
CREATE TABLE "counters" (
   "account" TEXT PRIMARY KEY,
   "entries" INTEGER NOT NULL
);
INSERT INTO "counters" VALUES('waiting',0);
INSERT INTO "counters" VALUES('in_doubt',1);
INSERT INTO "counters" VALUES('shipped',1);
INSERT INTO "counters" VALUES('rejected',1);
INSERT INTO "counters" VALUES('discarded',1);
INSERT INTO "counters" VALUES('forgotten',0);
INSERT INTO "counters" VALUES('lost',0);
INSERT INTO "counters" VALUES('possibly_twice',0);
INSERT INTO "counters" VALUES('out_of_order',0);
CREATE TABLE "entries" (
   "seq" INTEGER PRIMARY KEY,
   "lane" TEXT NOT NULL,
   "group_key" TEXT,
   "profile" TEXT,
   "operator" TEXT,
   "message" TEXT NOT NULL,
   "recorded_at" REAL NOT NULL,
   "state" TEXT NOT NULL,
   "attempt" INTEGER,
   "sends" INTEGER NOT NULL DEFAULT 0,
   "reason" TEXT,
   "possibly_twice" INTEGER NOT NULL DEFAULT 0,
   "out_of_order" INTEGER NOT NULL DEFAULT 0
, hazardous INTEGER NOT NULL DEFAULT 0);
INSERT INTO "entries" VALUES(1,'people',NULL,'ada','$set','{"$time":1700000000.0,"$distinct_id":"ada","$set":{"plan":"pro"}}',1700000000.0,'shipped',1,1,NULL,0,0,0);
INSERT INTO "entries" VALUES(2,'people',NULL,'ada','$add','{"$time":1700000001.0,"$distinct_id":"ada","$add":{"visits":1}}',1700000001.0,'in_doubt',2,1,NULL,0,0,1);
INSERT INTO "entries" VALUES(3,'groups','company','acme','$union','{"$time":1700000002.0,"$group_key":"company","$group_id":"acme","$union":{"sites":["Oslo"]}}',1700000002.0,'pending',NULL,0,NULL,0,0,0);
INSERT INTO "entries" VALUES(4,'people',NULL,'bob','$add','{"$time":1700000015.0,"$distinct_id":"bob","$add":{"visits":"x"}}',1700000015.0,'rejected',NULL,0,'$add.visits: must be a number, not a string',0,0,0);
INSERT INTO "entries" VALUES(5,'people',NULL,'bob','$set','{"$time":1700000016.0,"$distinct_id":"bob","$set":{"b":1}}',1700000016.0,'discarded',NULL,0,'discarded by a person',0,0,0);
INSERT INTO "entries" VALUES(6,'people',NULL,'ada','$set','{"$time":1700000017.0,"$distinct_id":"ada","$set":{"later":true}}',1700000017.0,'pending',NULL,0,NULL,0,0,0);
CREATE TABLE "lanes" (
   "lane" TEXT PRIMARY KEY,
   "cursor" INTEGER NOT NULL DEFAULT 0,
   "outcome" TEXT,
   "cause" TEXT NOT NULL DEFAULT '',
   "since" REAL,
   "failures" INTEGER NOT NULL DEFAULT 0,
   "retry_at" REAL
, request_size INTEGER, boot TEXT NOT NULL DEFAULT '', backoff_at REAL NOT NULL DEFAULT 0, backoff_span REAL NOT NULL DEFAULT 0, asked_at REAL NOT NULL DEFAULT 0, asked_span REAL NOT NULL DEFAULT 0, alike INTEGER NOT NULL DEFAULT 0, alike_since INTEGER);
INSERT INTO "lanes" VALUES('people',2,'unknown','the connection was reset',1700000012.0,1,1.70000001292008280761e+09,1,'boot',1.00092008283590178053e+03,9.20082835901758211427e-01,1000.0,0.0,0,NULL);
INSERT INTO "lanes" VALUES('groups',2,NULL,'',NULL,0,NULL,NULL,'',0.0,0.0,0.0,0.0,0,NULL);
CREATE TABLE "project" (
   "id" INTEGER PRIMARY KEY,
   "token" TEXT,
   "identity" TEXT NOT NULL,
   "created_at" REAL
);
INSERT INTO "project" VALUES(1,'T','8864dbb0-ba97-49dc-8e0b-ec8d603bb7d3',1.79561018568750786783e+09);
CREATE TABLE "shipper" (
   "id" INTEGER PRIMARY KEY,
   "epoch" INTEGER NOT NULL DEFAULT 0,
   "pid" INTEGER,
   "running" INTEGER NOT NULL DEFAULT 0,
   "seen_at" REAL
, service TEXT, in_doubt TEXT, settle_after REAL);
INSERT INTO "shipper" VALUES(1,2,26748,0,1700000014.0,'','hold',30.0);
CREATE TABLE "spools" (
   "name" TEXT PRIMARY KEY,
   "rows_done" INTEGER NOT NULL
);
CREATE TABLE "waits" (
   "id" INTEGER PRIMARY KEY,
   "lane" TEXT NOT NULL,
   "group_key" TEXT,
   "profile" TEXT,
   "cause" TEXT NOT NULL,
   "behind" INTEGER NOT NULL,
   "boot" TEXT NOT NULL,
   "at" REAL NOT NULL,
   "span" REAL NOT NULL
);
INSERT INTO "waits" VALUES(1,'people',NULL,'ada','settle_after',2,'boot',1030.0,30.0);
CREATE UNIQUE INDEX "idx__sqlite_migrations_migration_set_name"
    ON "_sqlite_migrations" ("migration_set", "name");
CREATE INDEX entries_set_aside ON entries(state, lane, seq) WHERE state NOT IN ('pending', 'shipped');
CREATE INDEX attempts_open ON attempts(id) WHERE outcome IS NULL;
CREATE INDEX "idx_waits_lane_profile"
    ON "waits" ("lane", "profile");
CREATE VIEW "entries_with_state" AS 
WITH carried AS (
  SELECT entries.seq, entries.state FROM attempts JOIN entries
      ON entries.seq BETWEEN attempts.first AND attempts.last
     AND entries.lane = attempts.lane AND entries.state = 'pending'
   WHERE attempts.outcome IS NULL AND attempts.picked IS NULL
  UNION ALL
  SELECT entries.seq, entries.state FROM attempts, json_each(attempts.picked) AS number
    JOIN entries ON entries.seq = number.value
   WHERE attempts.outcome IS NULL AND attempts.picked IS NOT NULL
)
SELECT seq, lane, group_key, profile, operator, message, recorded_at,
       CASE WHEN state IN ('pending', 'waiting', 'in_doubt') AND seq IN (SELECT seq FROM carried)
            THEN 'sending' ELSE state END AS state,
       attempt, sends, reason, possibly_twice, out_of_order, hazardous
  FROM entries;
CREATE VIEW "accounts" AS 
WITH carried AS (
  SELECT entries.seq, entries.state FROM attempts JOIN entries
      ON entries.seq BETWEEN attempts.first AND attempts.last
     AND entries.lane = attempts.lane AND entries.state = 'pending'
   WHERE attempts.outcome IS NULL AND attempts.picked IS NULL
  UNION ALL
  SELECT entries.seq, entries.state FROM attempts, json_each(attempts.picked) AS number
    JOIN entries ON entries.seq = number.value
   WHERE attempts.outcome IS NULL AND attempts.picked IS NOT NULL
),
     recorded AS (SELECT coalesce(max(seq), 0) AS entries FROM entries)
SELECT 'recorded' AS account, entries FROM recorded
UNION ALL
SELECT 'pending', (SELECT entries FROM recorded)
                - (SELECT sum(entries) FROM counters WHERE account IN ('waiting', 'in_doubt', 'shipped', 'rejected', 'discarded', 'forgotten', 'lost'))
                - (SELECT count(*) FROM carried WHERE state = 'pending')
UNION ALL
SELECT 'sending', (SELECT count(*) FROM carried)
UNION ALL
SELECT account, entries - (SELECT count(*) FROM carried WHERE carried.state = counters.account) FROM counters;
COMMIT;
