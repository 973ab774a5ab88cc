-- A journal of schema 3: three folded, one shipped, one rejected, one in doubt and held, one discarded, two pending.
PRAGMA application_id = 1920169076;
PRAGMA user_version = 3;
BEGIN TRANSACTION;
CREATE TABLE "_sqlite_migrations" (
   "id" INTEGER PRIMARY KEY,
   "migration_set" TEXT,
   "name" TEXT,
   "applied_at" TEXT
);
INSERT INTO "_sqlite_migrations" VALUES(1,'restante','first_schema','2026-11-25 15:29:53.585758+00:00');
INSERT INTO "_sqlite_migrations" VALUES(2,'restante','shipping_under_fire','2026-11-25 15:29:53.587894+00:00');
INSERT INTO "_sqlite_migrations" VALUES(3,'restante','pruning','2026-11-25 15:29:53.588973+00:00');
INSERT INTO "_sqlite_migrations" VALUES(4,'restante','copies_told_apart','2026-11-25 15:29:53.590513+00:00');
INSERT INTO "_sqlite_migrations" VALUES(5,'restante','folding','2026-11-25 15:29:53.591416+00:00');
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
, entries INTEGER NOT NULL DEFAULT 0);
INSERT INTO "attempts" VALUES(2,'people',2,4,4,NULL,1,86,'5a410ecbaaf85159',1.0,1.0,'shipped',200,'',1,1);
INSERT INTO "attempts" VALUES(3,'people',3,5,5,NULL,1,82,'67493449f9b4e636',0.0,0.0,'refused',400,'$add: value is not numeric',1,1);
INSERT INTO "attempts" VALUES(4,'people',4,6,6,NULL,1,82,'01530fa2d0007c1a',0.0,0.0,'unknown',NULL,'the connection was reset',1,1);
CREATE TABLE "baseline" (
   "id" INTEGER PRIMARY KEY,
   "lane" TEXT NOT NULL,
   "group_key" TEXT,
   "profile" TEXT,
   "properties" TEXT,
   "partly_known" INTEGER NOT NULL DEFAULT 0,
   "entries" INTEGER NOT NULL DEFAULT 0,
   "sends" INTEGER NOT NULL DEFAULT 0,
   "gone" INTEGER NOT NULL DEFAULT 0
);
INSERT INTO "baseline" VALUES(1,'people',NULL,'ada','{"plan":"pro","visits":1}',0,2,2,2);
INSERT INTO "baseline" VALUES(2,'people',NULL,'bob','{"plan":"free"}',0,1,1,3);
CREATE TABLE "counters" (
   "account" TEXT PRIMARY KEY,
   "entries" INTEGER NOT NULL
, pruned INTEGER NOT NULL DEFAULT 0);
INSERT INTO "counters" VALUES('waiting',0,0);
INSERT INTO "counters" VALUES('in_doubt',1,0);
INSERT INTO "counters" VALUES('shipped',4,3);
INSERT INTO "counters" VALUES('rejected',1,0);
INSERT INTO "counters" VALUES('discarded',1,0);
INSERT INTO "counters" VALUES('forgotten',0,0);
INSERT INTO "counters" VALUES('lost',0,0);
INSERT INTO "counters" VALUES('possibly_twice',0,0);
INSERT INTO "counters" VALUES('out_of_order',0,0);
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
INSERT INTO "entries" VALUES(4,'people',NULL,'bob','$set','{"$time":1795620593.6332815,"$distinct_id":"bob","$set":{"plan":"pro"}}',1.79562059363328146936e+09,'shipped',2,1,NULL,0,0,0);
INSERT INTO "entries" VALUES(5,'people',NULL,'cyd','$append','{"$time":1795620593.6912441,"$distinct_id":"cyd","$append":{"n":1}}',1.79562059369124412538e+09,'rejected',3,0,'$add: value is not numeric',0,0,0);
INSERT INTO "entries" VALUES(6,'people',NULL,'dan','$append','{"$time":1795620593.7038167,"$distinct_id":"dan","$append":{"n":1}}',1.79562059370381665226e+09,'in_doubt',4,1,NULL,0,0,1);
INSERT INTO "entries" VALUES(7,'people',NULL,'eve','$set','{"$time":1795620593.7216449,"$distinct_id":"eve","$set":{"n":1}}',1.79562059372164487839e+09,'discarded',NULL,0,'discarded by a person',0,0,0);
INSERT INTO "entries" VALUES(8,'people',NULL,'ada','$set','{"$time":1795620593.7235737,"$distinct_id":"ada","$set":{"later":true}}',1.79562059372357368464e+09,'pending',NULL,0,NULL,0,0,0);
INSERT INTO "entries" VALUES(9,'people',NULL,'dan','$append','{"$time":1795620593.724033,"$distinct_id":"dan","$append":{"n":2}}',1.79562059372403311731e+09,'pending',NULL,0,NULL,0,0,0);
CREATE TABLE "lanes" (
   "lane" TEXT PRIMARY KEY,
   "cursor" INTEGER NOT NULL DEFAULT 0,
   "outcome" TEXT,
   "cause" TEXT NOT NULL DEFAULT '',
   "since" REAL,
   "failures" INTEGER NOT NULL DEFAULT 0,
   "retry_at" REAL
, request_size INTEGER, boot TEXT NOT NULL DEFAULT '', backoff_at REAL NOT NULL DEFAULT 0, backoff_span REAL NOT NULL DEFAULT 0, asked_at REAL NOT NULL DEFAULT 0, asked_span REAL NOT NULL DEFAULT 0, alike INTEGER NOT NULL DEFAULT 0, alike_since INTEGER);
INSERT INTO "lanes" VALUES('people',6,'unknown','the connection was reset',0.0,1,0.5,1,'boot',1000.5,0.5,1000.0,0.0,1,3);
CREATE TABLE limits (name TEXT PRIMARY KEY, value REAL);
CREATE TABLE "project" (
   "id" INTEGER PRIMARY KEY,
   "token" TEXT,
   "identity" TEXT NOT NULL,
   "created_at" REAL
, snapshot_at REAL);
INSERT INTO "project" VALUES(1,'T','7b1dcb80-53ef-4a99-aefc-0880a085d664',1.79562059358417844779e+09,NULL);
CREATE TABLE "shipper" (
   "id" INTEGER PRIMARY KEY,
   "epoch" INTEGER NOT NULL DEFAULT 0,
   "pid" INTEGER,
   "running" INTEGER NOT NULL DEFAULT 0,
   "seen_at" REAL
, service TEXT, in_doubt TEXT, settle_after REAL, machine TEXT, path TEXT, inode INTEGER, moved_at REAL);
INSERT INTO "shipper" VALUES(1,5,28252,0,0.0,'','hold',0.0,'a4b46030c563e281','/var/lib/kiosk.db',2206685,NULL);
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
INSERT INTO "waits" VALUES(1,'people',NULL,'dan','hold',6,'boot',1000.0,0.0);
CREATE UNIQUE INDEX "idx__sqlite_migrations_migration_set_name"
    ON "_sqlite_migrations" ("migration_set", "name");
CREATE INDEX entries_set_aside ON entries(state, lane, seq) WHERE state NOT IN ('pending', 'shipped');
CREATE INDEX attempts_open ON attempts(id) WHERE outcome IS NULL;
CREATE INDEX "idx_waits_lane_profile"
    ON "waits" ("lane", "profile");
CREATE INDEX "idx_baseline_profile_lane"
    ON "baseline" ("profile", "lane");
CREATE VIEW "entries_with_state" AS 
WITH carried AS (
  SELECT entries.seq, entries.state FROM attempts CROSS JOIN entries
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
  SELECT entries.seq, entries.state FROM attempts CROSS JOIN entries
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
SELECT account, entries - (SELECT count(*) FROM carried WHERE carried.state = counters.account) FROM counters
UNION ALL
SELECT 'pruned', (SELECT sum(pruned) FROM counters WHERE account IN ('waiting', 'in_doubt', 'shipped', 'rejected', 'discarded', 'forgotten', 'lost'));
COMMIT;
