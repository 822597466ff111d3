package store

import (
	"time"

	"earshot/chat"
	"earshot/chat/content"
	"earshot/chat/wire"
)

// schemaContent is what messages became: edits, removals, reactions, expiry.
//
// SQLite leaves copies of rows behind where it moves them. So what may have to be
// gone for good stands in rows that never move: they are added at the end of their
// table and never change their size. What is removed is overwritten with zeros where
// it stands; a payload that begins with one is removed, since none does otherwise.
const schemaContent = `
-- gone is 1 where a message was removed, expired where its time is over: it is shown
-- no more then. calls says that it mentions this person; mentions are persons, one
-- behind the other.
ALTER TABLE message ADD COLUMN gone INTEGER NOT NULL DEFAULT 0;
ALTER TABLE message ADD COLUMN expired INTEGER NOT NULL DEFAULT 0;
ALTER TABLE message ADD COLUMN calls INTEGER NOT NULL DEFAULT 0;
ALTER TABLE message ADD COLUMN expires INTEGER;
ALTER TABLE message ADD COLUMN reply BLOB;
ALTER TABLE message ADD COLUMN mentions BLOB;
DROP INDEX message_order;
CREATE INDEX message_order ON message (room, sort, log, seq, mine, gone) WHERE expired = 0;
CREATE INDEX message_expires ON message (expires) WHERE expires IS NOT NULL AND expired = 0;
CREATE INDEX message_calls ON message (room, sort, log, seq) WHERE calls = 1 AND gone = 0 AND expired = 0;

-- What else is shown of a message about which something was said: see became. edit is
-- that whose text is shown.
CREATE TABLE became (
	message INTEGER PRIMARY KEY,
	edit    INTEGER,
	shown   BLOB NOT NULL
) STRICT;

-- Everything said about messages, also those that are not here yet.
CREATE TABLE edit (
	id       INTEGER PRIMARY KEY,
	room     INTEGER NOT NULL,
	target   BLOB NOT NULL,
	device   INTEGER NOT NULL,
	entry    INTEGER NOT NULL,
	eid      BLOB NOT NULL,
	hlc      INTEGER NOT NULL,
	log      BLOB NOT NULL,
	seq      INTEGER NOT NULL,
	calls    INTEGER NOT NULL,
	gone     INTEGER NOT NULL,
	mentions BLOB,
	text     TEXT NOT NULL
) STRICT;
CREATE INDEX edit_target ON edit (substr(target, 1, 8), hlc);
CREATE INDEX edit_kept ON edit (room, hlc) WHERE gone = 0;
CREATE TABLE removal (
	room   INTEGER NOT NULL,
	target BLOB NOT NULL,
	device INTEGER NOT NULL,
	hlc    INTEGER NOT NULL,
	log    BLOB NOT NULL,
	seq    INTEGER NOT NULL,
	PRIMARY KEY (room, target, device)
) STRICT, WITHOUT ROWID;
CREATE TABLE reaction (
	room   INTEGER NOT NULL,
	target BLOB NOT NULL,
	person BLOB NOT NULL,
	sign   TEXT NOT NULL,
	off    INTEGER NOT NULL,
	hlc    INTEGER NOT NULL,
	log    BLOB NOT NULL,
	seq    INTEGER NOT NULL,
	PRIMARY KEY (room, target, person, sign)
) STRICT, WITHOUT ROWID;
CREATE TABLE awaited (
	room   INTEGER NOT NULL,
	target BLOB NOT NULL,
	PRIMARY KEY (room, target)
) STRICT, WITHOUT ROWID;

-- For how many seconds messages are kept, and until they disappear; 0 for ever.
ALTER TABLE room ADD COLUMN keep INTEGER NOT NULL DEFAULT 0;
ALTER TABLE room ADD COLUMN disappear INTEGER NOT NULL DEFAULT 0;
CREATE TABLE setting (
	room      INTEGER NOT NULL,
	hlc       INTEGER NOT NULL,
	log       BLOB NOT NULL,
	seq       INTEGER NOT NULL,
	disappear INTEGER NOT NULL,
	keep      INTEGER NOT NULL,
	PRIMARY KEY (room, hlc, log, seq)
) STRICT, WITHOUT ROWID;

-- Who might remove what others say in a room, and when.
CREATE TABLE tenure (
	room   INTEGER NOT NULL,
	person BLOB NOT NULL,
	since  INTEGER NOT NULL,
	until  INTEGER NOT NULL,
	PRIMARY KEY (room, person, since)
) STRICT, WITHOUT ROWID;

-- Messages that have changed, numbered together with messages: of each the last time.
CREATE TABLE change_fact (
	cursor  INTEGER PRIMARY KEY,
	message INTEGER NOT NULL UNIQUE
) STRICT;

-- What upkeep has still to do, also after a crash.
CREATE TABLE chore (name TEXT NOT NULL PRIMARY KEY) STRICT, WITHOUT ROWID;

-- Entries that came without their payloads are unopened, with a reason of their own.
-- tries counts how often one was asked for.
ALTER TABLE unopened ADD COLUMN tries INTEGER NOT NULL DEFAULT 0;
CREATE INDEX unopened_stripped ON unopened (room, entry) WHERE reason = 'stripped';
CREATE INDEX unopened_kept ON unopened (room, sort) WHERE kind IN (2, 4);
`

// Stripped is the reason of an Unopened entry that came without its payload, and for
// which no reason is known why it should have none.
const Stripped = "stripped"

// Content is what an entry says beyond the text of a message.
type Content struct {
	ReplyTo  *chat.EntryID
	Mentions []chat.PersonID
	// MentionsMe says that this person is among Mentions.
	MentionsMe bool
	// Expires is how long after its clock the message disappears, 0 for never.
	Expires time.Duration
	// The rest is of entries that are about messages, which may come before those:
	// at most one is set.
	Edit    *chat.EntryID // Record.Text is what this message says from now on
	Remove  []chat.EntryID
	React   *content.React
	Setting *content.Setting
}

// message reports whether an entry that says this is a message, if it has text.
func (c *Content) message() bool {
	return c == nil || c.Edit == nil && c.Remove == nil && c.React == nil && c.Setting == nil
}

// over reports whether a message of that clock has disappeared at a time.
func (c *Content) over(said chat.HLC, now time.Time) bool {
	return c != nil && c.Expires > 0 && !said.Time().Add(c.Expires).After(now)
}

// Rules is what the membership of a private room says of how its messages are kept.
type Rules struct {
	Room chat.RoomID
	// Setting is the one that counts; Settings are all that did, in any order.
	Setting  content.Setting
	Settings []content.Setting
	Tenures  []content.Tenure
}

// Payload is an entry with its payload, which was stored without it. It says nothing
// yet: see Opening.
type Payload struct {
	Room  chat.RoomID
	Entry wire.Entry // checked: the payload is the one that its header names
}
