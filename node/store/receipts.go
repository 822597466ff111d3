package store

// schemaReceipts is how far devices have said that they hold and have read, and when
// this node learnt it of this person's own logs.
const schemaReceipts = `
CREATE TABLE receipt (
	room    INTEGER NOT NULL,
	device  INTEGER NOT NULL,
	kind    INTEGER NOT NULL,
	version INTEGER NOT NULL,
	marks   BLOB NOT NULL,
	sig     BLOB NOT NULL,
	PRIMARY KEY (room, device, kind)
) STRICT, WITHOUT ROWID;

-- A device came to hold (or, with read, its person came to read) a log up to seq at
-- that time. A later row of the same log has a higher seq.
CREATE TABLE receipt_step (
	room   INTEGER NOT NULL,
	log    INTEGER NOT NULL,
	device INTEGER NOT NULL,
	read   INTEGER NOT NULL,
	seq    INTEGER NOT NULL,
	at     INTEGER NOT NULL,
	PRIMARY KEY (room, log, device, read, seq)
) STRICT, WITHOUT ROWID;

-- How far this person has read the logs of others, on whichever device.
CREATE TABLE log_read (
	room INTEGER NOT NULL,
	log  INTEGER NOT NULL,
	seq  INTEGER NOT NULL,
	PRIMARY KEY (room, log)
) STRICT, WITHOUT ROWID;
`
