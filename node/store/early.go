package store

import (
	"context"
	"time"

	"earshot/chat"
	"earshot/chat/wire"
)

// schemaEarly is messages that are here before those that they follow in their logs,
// and those that came behind what had been read.
const schemaEarly = `
-- A message that is early has no entry yet: that comes when its log has reached it.
ALTER TABLE message ADD COLUMN early INTEGER NOT NULL DEFAULT 0;
CREATE INDEX message_early ON message (room) WHERE early = 1;

-- late is 1 for a message that came to stand before the read mark and was not read
-- since, 2 once it was.
ALTER TABLE message ADD COLUMN late INTEGER NOT NULL DEFAULT 0;
CREATE INDEX message_late ON message (room, sort, log, seq) WHERE late = 1;

-- Where the key shares of an epoch stand.
CREATE TABLE key_share (
	log   INTEGER NOT NULL,
	epoch INTEGER NOT NULL,
	entry INTEGER NOT NULL,
	PRIMARY KEY (log, epoch, entry)
) STRICT, WITHOUT ROWID;
`

// Early is a message that is stored before those that it follows in its log.
type Early struct {
	Room       chat.RoomID
	Entry      wire.Entry // checked and verified, but for its predecessor
	Person     chat.PersonID
	ReceivedAt time.Time
	Sort       chat.HLC // as in Record
	Text       string   // cleaned, not ""
	Mine       bool
}

// EarlyPlace is where such a message stands.
type EarlyPlace struct {
	Room   chat.RoomID
	Log    chat.LogID
	Device chat.DeviceID
	Person chat.PersonID
	Seq    uint64
	ID     chat.EntryID
}

// NewestQuery asks for the newest messages of a room, with what is needed to check
// and to open them.
type NewestQuery struct {
	Have       map[chat.LogID]uint64 // as in Missing
	Before     chat.HLC              // none that is dated later
	Limit      int                   // messages
	MaxEntries int                   // messages and the rest
	MaxBytes   int
}

// PutEarly stores messages before their turn. done gets the cursor of each that
// became a fact just now, 0 for those that were here; see Append for when it is
// called.
func (s *Store) PutEarly(list []Early, done func([]chat.Cursor, error)) {
	done(nil, chat.Errorf(chat.CodeInternal, "This Earshot can't show messages early yet. Update Earshot."))
}

// EarlyPlaces returns where messages stand whose turn has not come.
func (s *Store) EarlyPlaces(ctx context.Context) ([]EarlyPlace, error) { return nil, nil }

// Newest returns the newest messages of a room that Have does not hold, each behind
// what is needed to check and open it: the first entry of its log where Have has
// nothing of that, and the key shares of its epoch that Have does not hold.
func (s *Store) Newest(ctx context.Context, room chat.RoomID, q NewestQuery) ([]wire.Entry, error) {
	return nil, nil
}
