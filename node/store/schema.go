package store

import (
	"fmt"
	"time"

	"github.com/ncruces/go-sqlite3"

	"earshot/chat"
)

// applicationID marks the file as Earshot's in SQLite's header: "EARS".
const applicationID = 0x45415253

// busyTimeout is how long to wait for another connection's lock. Ours never wait
// for each other; a backup tool or a virus scanner may hold the file for a moment.
const busyTimeout = 5 * time.Second

// migrations bring the file from version i to i+1. A released one never changes;
// testdata keeps a file of every version.
//
// Keys: rooms, logs and devices are named by small integers, everywhere but in
// their own tables. Times are microseconds since the Unix epoch.
var migrations = []string{`
CREATE TABLE device (
	id        INTEGER PRIMARY KEY,
	device    BLOB NOT NULL UNIQUE,
	person    BLOB NOT NULL,
	cert      BLOB,
	name      TEXT NOT NULL,
	last_seen INTEGER NOT NULL
) STRICT;

-- unread and last_* are kept as messages come, so that no list of rooms counts rows.
-- The read mark is the place of the newest message read, in the order shown.
CREATE TABLE room (
	id         INTEGER PRIMARY KEY,
	room       BLOB NOT NULL UNIQUE,
	name       TEXT NOT NULL,
	open       INTEGER NOT NULL,
	joined     INTEGER NOT NULL,
	unread     INTEGER NOT NULL,
	last_sort  INTEGER NOT NULL,
	last_sent  INTEGER NOT NULL,
	read_entry BLOB,
	read_sort  INTEGER NOT NULL,
	read_log   BLOB NOT NULL,
	read_seq   INTEGER NOT NULL
) STRICT;

CREATE TABLE log (
	id         INTEGER PRIMARY KEY,
	room       INTEGER NOT NULL,
	log        BLOB NOT NULL,
	device     INTEGER NOT NULL,
	last_seq   INTEGER NOT NULL,
	last_entry BLOB NOT NULL,
	last_hlc   INTEGER NOT NULL,
	UNIQUE (room, log)
) STRICT;

-- Every signed entry, as it is passed on to others.
CREATE TABLE entry (
	id      INTEGER PRIMARY KEY,
	room    INTEGER NOT NULL,
	log     INTEGER NOT NULL,
	seq     INTEGER NOT NULL,
	hlc     INTEGER NOT NULL,
	head    BLOB NOT NULL,
	sig     BLOB NOT NULL,
	payload BLOB
) STRICT;
CREATE INDEX entry_log ON entry (log, seq, hlc);
CREATE INDEX entry_order ON entry (room, hlc, log, seq);

-- What is shown: text has passed chat.CleanText. Ordered by log id, not by the
-- log's local key, because the order is the same on every device.
CREATE TABLE message (
	cursor   INTEGER PRIMARY KEY,
	room     INTEGER NOT NULL,
	device   INTEGER NOT NULL,
	entry    BLOB NOT NULL,
	sort     INTEGER NOT NULL,
	log      BLOB NOT NULL,
	seq      INTEGER NOT NULL,
	sent     INTEGER NOT NULL,
	received INTEGER NOT NULL,
	mine     INTEGER NOT NULL,
	text     TEXT NOT NULL,
	client   TEXT
) STRICT;
CREATE INDEX message_order ON message (room, sort, log, seq, mine);
CREATE INDEX message_entry ON message (substr(entry, 1, 8));
CREATE UNIQUE INDEX message_client ON message (client) WHERE client IS NOT NULL;

-- Joining and leaving, numbered together with messages.
CREATE TABLE room_fact (
	cursor INTEGER PRIMARY KEY,
	room   INTEGER NOT NULL,
	joined INTEGER NOT NULL,
	at     INTEGER NOT NULL
) STRICT;

-- The words of messages, without the text; rowid is message.cursor. The token in
-- room narrows a search without visiting the message.
CREATE VIRTUAL TABLE message_text USING fts5 (
	text, room, content = '', contentless_delete = 1, tokenize = 'unicode61 remove_diacritics 2'
);`, `
-- A person goes by one name, the newest known, on all their devices.
CREATE INDEX device_person ON device (person);
UPDATE device SET name = ifnull((SELECT d.name FROM device d WHERE d.person = device.person AND d.name <> ''
	ORDER BY d.last_seen DESC, d.id DESC LIMIT 1), '');

-- What kind of conversation a room is; person is whom a direct chat is with.
ALTER TABLE room ADD COLUMN kind TEXT NOT NULL DEFAULT 'open';
ALTER TABLE room ADD COLUMN person BLOB;
ALTER TABLE room ADD COLUMN topic TEXT NOT NULL DEFAULT '';
ALTER TABLE room ADD COLUMN unreadable INTEGER NOT NULL DEFAULT 0;
ALTER TABLE room DROP COLUMN open;

-- What engines remember. Each value is encrypted under the key in its slot: see
-- state.go.
CREATE TABLE state (
	name  BLOB NOT NULL PRIMARY KEY,
	slot  INTEGER NOT NULL,
	value BLOB NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE state_key (
	id    INTEGER PRIMARY KEY,
	slots BLOB NOT NULL
) STRICT;

-- Entries that can't be read here, and what becomes of each if it is opened later.
-- The room's unreadable are the messages among them that are not quiet.
CREATE TABLE unopened (
	room     INTEGER NOT NULL,
	entry    INTEGER NOT NULL,
	id       BLOB NOT NULL,
	device   INTEGER NOT NULL,
	epoch    INTEGER NOT NULL,
	reason   TEXT NOT NULL,
	sort     INTEGER NOT NULL,
	received INTEGER NOT NULL,
	mine     INTEGER NOT NULL,
	kind     INTEGER NOT NULL,
	quiet    INTEGER NOT NULL,
	PRIMARY KEY (room, entry)
) STRICT, WITHOUT ROWID;
CREATE INDEX unopened_id ON unopened (substr(id, 1, 8));
CREATE INDEX unopened_epoch ON unopened (room, device, epoch, entry);
CREATE INDEX unopened_waiting ON unopened (room, entry) WHERE reason = '';`, schemaContent + schemaReceipts + schemaCourier + schemaEarly, schemaBranch}

// version returns the version of the file's schema, 0 if it is new. It refuses
// files that this program did not write or can't read.
func (c *conn) version() (int, error) {
	var version, app, tables int
	_, err := c.queryRow(func(s *sqlite3.Stmt) error {
		version, app, tables = s.ColumnInt(0), s.ColumnInt(1), s.ColumnInt(2)
		return nil
	}, `SELECT v.user_version, a.application_id, (SELECT count(*) FROM sqlite_schema)
	    FROM pragma_user_version v, pragma_application_id a`)
	switch {
	case err != nil:
		return 0, err
	case app == 0 && version == 0 && tables == 0:
		return 0, nil
	case app != applicationID || version == 0:
		return 0, chat.Errorf(chat.CodeHomeBroken, "The file %s in Earshot's home is another program's database. Move it away, or choose another home with --home.", FileName)
	case version > len(migrations):
		return 0, chat.Errorf(chat.CodeHomeNewer, "The history was written by a newer Earshot (format %d, this one reads up to %d). Update Earshot, or choose another home with --home.", version, len(migrations))
	}
	return version, nil
}

// migrate applies what the file lacks, each step whole or not at all.
func (c *conn) migrate(version int) error {
	for i := version; i < len(migrations); i++ {
		if err := c.transaction(func() error {
			return c.db.Exec(migrations[i] + fmt.Sprintf("PRAGMA user_version = %d; PRAGMA application_id = %d;", i+1, applicationID))
		}); err != nil {
			return err
		}
	}
	return nil
}

// transaction runs f and commits, or rolls back if f or the commit fails.
func (c *conn) transaction(f func() error) error {
	if err := c.exec("BEGIN IMMEDIATE"); err != nil {
		return err
	}
	err := f()
	if err == nil {
		err = c.exec("COMMIT")
	}
	// Some failures, a full disk among them, have rolled back already.
	if err != nil && !c.db.GetAutocommit() {
		if err := c.exec("ROLLBACK"); err != nil {
			return err
		}
	}
	return err
}
