-- The journal, version 1. Each table is written by one module of recorder/journal, named beside it.
--
-- A log, and a cursor per lane. A request that the service accepts writes none of its rows: a row that is still
-- 'pending' at or below its lane's cursor was shipped, by the accepted range that it lies in. So the column `state`
-- says too little; the view entries_with_state says how each entry stands. All other ends are written as rows. Only
-- the exceptional states are indexed: recording and shipping pay for no index but the key.

-- The project this journal belongs to: one row (project.py).
CREATE TABLE project (
  id INTEGER PRIMARY KEY,
  token TEXT,                            -- NULL before the first one was given
  earlier_tokens TEXT NOT NULL DEFAULT '[]',  -- a JSON array: those before `restante token`
  identity TEXT NOT NULL,                -- random; copies of this journal share it
  created_at REAL,
  snapshot_at REAL,                      -- when this copy was made by `restante snapshot`; NULL in a journal
  remnants INTEGER NOT NULL DEFAULT 0,   -- 1 while erased content may be left in free space or in the log
  counter TEXT,                          -- what names the counter of counted adds; NULL: the identity
  senders TEXT NOT NULL DEFAULT '{}'     -- a JSON object: messages that `restante relay` took, and when last, by sender
);

-- Limits that were set; NULL is no limit, a missing row the default (project.py).
CREATE TABLE limits (name TEXT PRIMARY KEY, value REAL);

-- One row per operation (entries.py).
CREATE TABLE entries (
  seq INTEGER PRIMARY KEY,               -- no gaps: the highest one is the number of entries ever recorded
  lane TEXT NOT NULL,
  group_key TEXT,                        -- NULL for a user's profile
  profile TEXT,
  operator TEXT,
  message TEXT NOT NULL,                 -- JSON, without the project's token
  recorded_at REAL NOT NULL,             -- seconds since the epoch, as all *_at
  state TEXT NOT NULL,                   -- as it was written last: see entries_with_state
  attempt INTEGER,                       -- the attempt that settled it last
  sends INTEGER NOT NULL DEFAULT 0,      -- requests that carried it and may have been applied
  reason TEXT,                           -- why it is rejected, discarded or waiting; what its profile told
  possibly_twice INTEGER NOT NULL DEFAULT 0,
  out_of_order INTEGER NOT NULL DEFAULT 0,
  hazardous INTEGER NOT NULL DEFAULT 0,  -- sending it again may change what the profile holds
  ends_forgotten INTEGER NOT NULL DEFAULT 0  -- a deletion asked for by `forget`: erased once it is shipped
);
CREATE INDEX entries_set_aside ON entries(state, lane, seq) WHERE state NOT IN ('pending', 'shipped');
CREATE INDEX entries_ending ON entries(seq) WHERE ends_forgotten;

-- How each lane stands; a lane begins with its first entry (lanes.py).
CREATE TABLE lanes (
  lane TEXT PRIMARY KEY,
  cursor INTEGER NOT NULL DEFAULT 0,     -- pending entries lie above it; it never moves back
  outcome TEXT,                          -- of its last request
  cause TEXT NOT NULL DEFAULT '',
  since REAL,
  failures INTEGER NOT NULL DEFAULT 0,   -- tries in a row that did not go through
  retry_at REAL,                         -- for people; shippers use the four columns before "alike"
  request_size INTEGER,                  -- most updates in a request, after an unknown outcome
  boot TEXT NOT NULL DEFAULT '',         -- moments of uptime.py: which boot, seconds since it, length of the wait
  backoff_at REAL NOT NULL DEFAULT 0,
  backoff_span REAL NOT NULL DEFAULT 0,
  asked_at REAL NOT NULL DEFAULT 0,      -- Retry-After
  asked_span REAL NOT NULL DEFAULT 0,
  alike INTEGER NOT NULL DEFAULT 0,      -- single rejections in a row with the same words
  alike_since INTEGER                    -- the first attempt of that row
);

-- One row per request (attempts.py).
CREATE TABLE attempts (
  id INTEGER PRIMARY KEY,
  lane TEXT NOT NULL,
  epoch INTEGER NOT NULL,                -- of the shipper that made it
  first INTEGER NOT NULL,
  last INTEGER NOT NULL,
  picked TEXT,                           -- a JSON array of numbers; NULL: the lane's pending entries from first to last
  updates INTEGER NOT NULL,
  bytes INTEGER NOT NULL,
  digest TEXT NOT NULL,
  started_at REAL NOT NULL,
  ended_at REAL,
  outcome TEXT,                          -- NULL while it is open
  status INTEGER,
  words TEXT NOT NULL DEFAULT '',
  times INTEGER NOT NULL DEFAULT 1,      -- equal failures in a row are one row
  entries INTEGER NOT NULL DEFAULT 0,    -- more than updates where entries were folded
  counted TEXT                           -- the counter that its adds also added to; see recorder/model/counting.py
);
-- Accepted ranges: which one shipped an entry.
CREATE INDEX attempts_shipped ON attempts(lane, last) WHERE outcome = 'shipped' AND picked IS NULL;

-- One counter per state but pending and sending, and per mark (accounts.py).
CREATE TABLE counters (
  account TEXT PRIMARY KEY,
  entries INTEGER NOT NULL,
  pruned INTEGER NOT NULL DEFAULT 0      -- how many of them have no row any more
);
INSERT INTO counters (account, entries) VALUES
  ('waiting', 0), ('in_doubt', 0), ('shipped', 0), ('rejected', 0), ('discarded', 0), ('forgotten', 0), ('lost', 0),
  ('possibly_twice', 0), ('out_of_order', 0);

-- The shipper that came last: one row (shipper.py).
CREATE TABLE shipper (
  id INTEGER PRIMARY KEY,
  epoch INTEGER NOT NULL DEFAULT 0,      -- counts take-overs: only the latest may claim and settle
  pid INTEGER,
  seen_at REAL,                          -- when it took over
  service TEXT,                          -- where it sends to
  in_doubt TEXT,                         -- its policy
  settle_after REAL,
  counted INTEGER,                       -- 0: adds are not counted; 1: adds and charges; 2: all appended objects
  machine TEXT,                          -- where the journal was then: see copies.py
  path TEXT,
  inode INTEGER,
  moved_at REAL
);

-- Profiles that are not sent with others now (doubt.py).
CREATE TABLE waits (
  id INTEGER PRIMARY KEY,
  lane TEXT NOT NULL,
  group_key TEXT,
  profile TEXT,                          -- an event's own number: each of them waits for itself
  cause TEXT NOT NULL,                   -- 'settle_after'; then 'suspect' until it is answered; 'hold' until a person decides
  behind INTEGER NOT NULL,               -- the entry in doubt that it is about
  boot TEXT NOT NULL,                    -- until when: a moment of uptime.py
  at REAL NOT NULL,
  span REAL NOT NULL,
  most INTEGER,                          -- a suspect's: most updates in the request that carries it next
  backoff REAL NOT NULL DEFAULT 0        -- its own back-off, counted from where the span begins
);
CREATE INDEX waits_of_profile ON waits(lane, profile);

-- Profiles as their pruned entries made them (baseline.py). In the order of id they were created.
CREATE TABLE baseline (
  id INTEGER PRIMARY KEY,
  lane TEXT NOT NULL,
  group_key TEXT,
  profile TEXT,
  properties TEXT,                       -- JSON; NULL where no profile was left
  partly_known INTEGER NOT NULL DEFAULT 0,
  entries INTEGER NOT NULL DEFAULT 0,
  sends INTEGER NOT NULL DEFAULT 0,
  gone INTEGER NOT NULL DEFAULT 0,       -- the highest number that may have been applied
  counter TEXT,                          -- the last counter that they added to
  counted INTEGER                        -- how many did since the last deletion; NULL: not known
);
CREATE INDEX baseline_of_profile ON baseline(profile, lane);

-- The attempt that is not settled yet: no later one is made before it is.
CREATE VIEW open_attempt AS
  SELECT * FROM attempts WHERE id = (SELECT max(id) FROM attempts) AND outcome IS NULL;

-- What the open attempt carries. CROSS JOIN makes SQLite begin with that attempt; the plus signs keep it from making an
-- index over all entries, at each look, to find these by their state.
CREATE VIEW carried AS
  SELECT entries.seq, +entries.state AS state FROM open_attempt CROSS JOIN entries
      ON entries.seq BETWEEN open_attempt.first AND open_attempt.last
     AND +entries.lane = open_attempt.lane AND +entries.state = 'pending'
   WHERE open_attempt.picked IS NULL
  UNION ALL
  SELECT entries.seq, +entries.state AS state FROM open_attempt, json_each(open_attempt.picked) AS number
   CROSS JOIN entries ON entries.seq = number.value
   WHERE open_attempt.picked IS NOT NULL;

-- Each entry as it stands. One that its lane has passed was carried once, by the accepted range that it lies in. The
-- cursors of the lanes are looked up once each: for every row, that would take as long as all else.
CREATE VIEW entries_with_state AS
  SELECT seq, lane, group_key, profile, operator, message, recorded_at,
         CASE WHEN passed THEN 'shipped'
              WHEN state IN ('pending', 'waiting', 'in_doubt') AND seq IN (SELECT seq FROM carried) THEN 'sending'
              ELSE state END AS state,
         CASE WHEN passed
              THEN (SELECT CASE WHEN first <= entry.seq THEN id END FROM attempts
                     WHERE outcome = 'shipped' AND picked IS NULL AND attempts.lane = entry.lane AND last >= entry.seq
                     ORDER BY last LIMIT 1)
              ELSE attempt END AS attempt,
         CASE WHEN passed THEN 1 ELSE sends END AS sends,
         reason, possibly_twice, out_of_order, hazardous
    FROM (SELECT *, state = 'pending' AND seq <= CASE lane
                      WHEN 'people' THEN (SELECT cursor FROM lanes WHERE lane = 'people')
                      WHEN 'groups' THEN (SELECT cursor FROM lanes WHERE lane = 'groups')
                      WHEN 'events' THEN (SELECT cursor FROM lanes WHERE lane = 'events')
                      WHEN 'imports' THEN (SELECT cursor FROM lanes WHERE lane = 'imports') END AS passed
            FROM entries) AS entry;

-- Recording writes no counter: the highest number is what was recorded, and pending is what is left of it.
CREATE VIEW accounts AS
  WITH settled(entries, pruned) AS (
    SELECT sum(entries), sum(pruned) FROM counters WHERE account NOT IN ('possibly_twice', 'out_of_order'))
  -- A subquery: a WHERE on this view would turn the search for the highest number into a scan.
  SELECT 'recorded' AS account, (SELECT coalesce(max(seq), 0) FROM entries) AS entries
  UNION ALL
  SELECT 'pending', (SELECT coalesce(max(seq), 0) FROM entries) - (SELECT entries FROM settled)
                    - (SELECT count(*) FROM carried WHERE state = 'pending')
  UNION ALL
  SELECT 'sending', count(*) FROM carried
  UNION ALL
  SELECT account, entries - (SELECT count(*) FROM carried WHERE carried.state = counters.account) FROM counters
  UNION ALL
  SELECT 'pruned', pruned FROM settled;

INSERT INTO project (id, identity, created_at)
VALUES (1, lower(hex(randomblob(16))), (julianday('now') - 2440587.5) * 86400.0);
INSERT INTO shipper (id) VALUES (1);
