package store

import (
	"context"
	"time"

	"github.com/ncruces/go-sqlite3"

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
-- since, NULL once it was: neither takes more room in its row than 0 does, see
-- schemaContent.
ALTER TABLE message ADD COLUMN late INTEGER DEFAULT 0;
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
	Content    *Content // as in Record
	Mine       bool
	Late       bool // set by the store, as in Record
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

// PutEarly stores messages before their turn. Those that are here already are skipped.
// done gets the cursor of each that became a fact just now, 0 for the others, and then
// the cursors of what else did, as with Commit; see Append for when it is called.
func (s *Store) PutEarly(list []Early, done func([]chat.Cursor, error)) {
	var cursors []chat.Cursor
	s.submit(len(list), func(w *writer) error {
		cursors, w.changes = make([]chat.Cursor, len(list)), nil
		for i := range list {
			var err error
			if cursors[i], err = w.putEarly(&list[i]); err != nil {
				return err
			}
		}
		cursors = append(cursors, w.changes...)
		return nil
	}, withCursors(&cursors, done))
}

func (w *writer) putEarly(m *Early) (chat.Cursor, error) {
	e := &m.Entry
	room, err := w.room(m.Room)
	if err != nil {
		return 0, err
	}
	log, err := w.log(room.key, e.Log)
	if err != nil || e.Seq <= log.lastSeq {
		return 0, err
	}
	if m.Content.over(e.HLC, m.ReceivedAt) || room.keep > 0 && !m.Sort.Time().Add(room.keep).After(m.ReceivedAt) {
		return 0, nil
	}
	_, err = w.find(room.key, e.ID)
	if err == nil || chat.CodeOf(err) != chat.CodeNotFound {
		return 0, err
	}
	device, err := w.device(e.Device, m.Person)
	if err != nil {
		return 0, err
	}
	row := message{
		device: device, id: e.ID, at: place{m.Sort, e.Log, e.Seq}, sent: e.HLC, received: m.ReceivedAt.UnixMicro(),
		mine: m.Mine, text: m.Text, content: m.Content, early: true,
	}
	cursor, err := w.addMessage(room, &row)
	m.Late = row.late != 0
	room.early++
	return cursor, err
}

// inTurn makes a message that is early an ordinary one, whose entry has just been
// stored; false if there is no such message. It keeps its fact, and stands where its
// log puts it.
func (w *writer) inTurn(room *roomState, id chat.EntryID, at place) (bool, error) {
	entry, cursor, gone := w.db.LastInsertRowID(), int64(0), false
	found, err := w.queryRow(func(s *sqlite3.Stmt) error {
		cursor, gone = s.ColumnInt64(0), s.ColumnBool(1)
		return nil
	}, `SELECT cursor, gone + expired FROM message WHERE substr(entry, 1, 8) = ? AND entry = ? AND room = ? AND early = 1`, id[:8], id[:], room.key)
	if err != nil || !found {
		return false, err
	}
	room.early--
	if gone {
		if err := w.strip(entry); err != nil {
			return false, err
		}
	}
	return true, w.exec(`UPDATE message SET early = 0, sort = ?, log = ? WHERE cursor = ?`, uint64(at.sort), at.log[:], cursor)
}

// late returns what becomes of a message that is stored now: 1 for late, 2 for late and
// read, which stands as NULL in its column.
func (r *roomState) late(at place, mine bool) int {
	switch {
	case r.readID == nil || at.compare(r.read) > 0:
		return 0
	case mine:
		return 2
	}
	return 1
}

// readLate notes that what came late and stands no later than at was read.
func (w *writer) readLate(room *roomState, at place) error {
	if err := w.exec(`UPDATE message SET late = NULL WHERE room = ? AND late = 1 AND (sort, log, seq) <= (?, ?, ?)`,
		room.key, uint64(at.sort), at.log[:], at.seq); err != nil {
		return err
	}
	if n := int(w.db.Changes()); n > 0 {
		room.unread = max(0, room.unread-n)
		w.touchRoom(room)
	}
	return nil
}

// EarlyPlaces returns where messages stand whose turn has not come.
func (s *Store) EarlyPlaces(ctx context.Context) (out []EarlyPlace, err error) {
	err = s.read(ctx, func(c *conn) error {
		return c.query(func(s *sqlite3.Stmt) error {
			p := EarlyPlace{Seq: uint64(s.ColumnInt64(4))}
			for i, dst := range [][]byte{p.Room[:], p.Log[:], p.Device[:], p.Person[:], nil, p.ID[:]} {
				if dst == nil {
					continue
				}
				if err := fixed(dst, s.ColumnRawBlob(i)); err != nil {
					return err
				}
			}
			out = append(out, p)
			return nil
		}, `SELECT r.room, m.log, d.device, d.person, m.seq, m.entry FROM message m INDEXED BY message_early
			CROSS JOIN room r ON r.id = m.room CROSS JOIN device d ON d.id = m.device WHERE m.early = 1 ORDER BY m.cursor`)
	})
	return out, err
}
