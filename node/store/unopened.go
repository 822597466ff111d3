package store

import (
	"context"
	"fmt"
	"time"

	"github.com/ncruces/go-sqlite3"

	"earshot/chat"
	"earshot/chat/content"
	"earshot/chat/wire"
)

// Unopened says why an entry that is stored can't be read here. Of an entry that
// was opened, or that is not stored, it says nothing and is skipped.
type Unopened struct {
	ID     chat.EntryID
	Room   chat.RoomID
	Device chat.DeviceID // its author's
	Epoch  uint64
	Reason string // "" while it waits for a key
	Quiet  bool   // as in Record
}

// Opening says that an entry which was not readable is so now. Where Text is not
// "" it becomes a message and a fact, in the place that its record had given it.
// An entry that was opened before, or that is not stored, is skipped.
type Opening struct {
	ID   chat.EntryID
	Room chat.RoomID
	Text string // cleaned; "" when nothing is shown
	// Content is what the entry says beyond that; nil for nothing.
	Content *Content
}

// UnopenedQuery asks for entries of a room that are not readable here.
type UnopenedQuery struct {
	Room   chat.RoomID
	Device *chat.DeviceID // only this author's; nil means all
	Epoch  *uint64        // only of this epoch; nil means all
	// Waiting leaves out those of which it is known why they can't be read.
	Waiting bool
	// After is where the last page ended; 0 asks for the first.
	After uint64
	// Limit as in MessageQuery.
	Limit int
}

// StoredEntry is an entry that is not readable here, with what its record said.
type StoredEntry struct {
	Entry      wire.Entry
	Person     chat.PersonID
	ReceivedAt time.Time
	Sort       chat.HLC
	Reason     string
}

// maxUnopenedPage bounds a page of such entries, in bytes.
const maxUnopenedPage = 1 << 20

// UnopenedEntries returns a page of entries that are not readable here, in the
// order in which they were stored, and where the next page begins; no entries mean
// that there are no more. It costs what it returns, however many there are; but where
// only one of Device and Epoch is given, it walks the room's.
func (s *Store) UnopenedEntries(ctx context.Context, q UnopenedQuery) (page []StoredEntry, next uint64, err error) {
	next = q.After
	err = s.read(ctx, func(c *conn) error {
		return c.snapshot(func() error {
			key, found, err := c.roomKey(q.Room)
			if err != nil || !found {
				return err
			}
			sql, args := q.sql(key)
			bytes := 0
			err = c.query(func(stmt *sqlite3.Stmt) error {
				e := StoredEntry{
					ReceivedAt: time.UnixMicro(stmt.ColumnInt64(1)).UTC(), Sort: chat.HLC(stmt.ColumnInt64(2)), Reason: stmt.ColumnText(3),
				}
				if err := fixed(e.Person[:], stmt.ColumnRawBlob(4)); err != nil {
					return err
				}
				var size int
				if e.Entry, size, err = scanEntry(stmt, 5); err != nil {
					return err
				}
				if err := fixed(e.Entry.Log[:], stmt.ColumnRawBlob(8)); err != nil {
					return err
				}
				if bytes += size; bytes > maxUnopenedPage && len(page) > 0 {
					return errEnough
				}
				page, next = append(page, e), uint64(stmt.ColumnInt64(0))
				return nil
			}, sql, args...)
			if err == errEnough {
				return nil
			}
			return err
		})
	})
	if err != nil {
		return nil, q.After, err
	}
	return page, next, nil
}

// sql returns the statement for a query of the room with this local key. It names
// the index, since SQLite would rather walk all of the room.
func (q UnopenedQuery) sql(room int64) (sql string, args []any) {
	index, where, args := "", "u.room = ? AND u.entry > ?", []any{room, q.After}
	if q.Waiting {
		index, where = "INDEXED BY unopened_waiting", where+" AND u.reason = ''"
	}
	if q.Device != nil {
		where, args = where+" AND u.device = (SELECT id FROM device WHERE device = ?)", append(args, q.Device[:])
	}
	if q.Epoch != nil {
		where, args = where+" AND u.epoch = ?", append(args, *q.Epoch)
	}
	if q.Device != nil && q.Epoch != nil {
		index = "INDEXED BY unopened_epoch"
	}
	return fmt.Sprintf(`SELECT u.entry, u.received, u.sort, u.reason, d.person, e.head, e.sig, e.payload, l.log
		FROM unopened u %s CROSS JOIN device d ON d.id = u.device CROSS JOIN entry e ON e.id = u.entry CROSS JOIN log l ON l.id = e.log
		WHERE %s ORDER BY u.entry LIMIT ?`, index, where), append(args, pageSize(q.Limit))
}

// unopened is a row of entries that are not readable.
type unopened struct {
	entry    int64 // the entry's local key
	device   int64
	log      chat.LogID
	seq      uint64
	hlc      chat.HLC
	sort     chat.HLC
	received int64
	mine     bool
	kind     wire.Kind
	quiet    bool
	reason   string
}

// counts reports whether an entry counts as unreadable.
func (u *unopened) counts() bool {
	return u.kind == wire.KindMessage && !u.quiet && u.reason != Stripped
}

const selectUnopened = `SELECT u.entry, u.device, l.log, e.seq, e.hlc, u.sort, u.received, u.mine, u.kind, u.quiet, u.reason
	FROM unopened u CROSS JOIN entry e ON e.id = u.entry CROSS JOIN log l ON l.id = e.log
	WHERE substr(u.id, 1, 8) = ? AND u.id = ? AND u.room = ?`

// addUnopened notes that the entry just stored is not readable.
func (w *writer) addUnopened(rec *Record, room *roomState, device int64) error {
	e := &rec.Entry
	if (&unopened{kind: e.Kind, quiet: rec.Quiet, reason: rec.Reason}).counts() {
		room.unreadable++
		w.touchRoom(room)
	}
	return w.exec(`INSERT INTO unopened (room, entry, id, device, epoch, reason, sort, received, mine, kind, quiet) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		room.key, w.db.LastInsertRowID(), e.ID[:], device, e.Epoch, rec.Reason, uint64(rec.Sort), rec.ReceivedAt.UnixMicro(), rec.Mine, int(e.Kind), rec.Quiet)
}

// findUnopened looks an entry up by its id; nil where it is not waiting.
func (w *writer) findUnopened(room *roomState, id chat.EntryID) (*unopened, error) {
	var u unopened
	found, err := w.queryRow(func(s *sqlite3.Stmt) error {
		u = unopened{
			entry: s.ColumnInt64(0), device: s.ColumnInt64(1), seq: uint64(s.ColumnInt64(3)), hlc: chat.HLC(s.ColumnInt64(4)),
			sort: chat.HLC(s.ColumnInt64(5)), received: s.ColumnInt64(6), mine: s.ColumnBool(7), kind: wire.Kind(s.ColumnInt(8)), quiet: s.ColumnBool(9), reason: s.ColumnText(10),
		}
		return fixed(u.log[:], s.ColumnRawBlob(2))
	}, selectUnopened, id[:8], id[:], room.key)
	if err != nil || !found {
		return nil, err
	}
	return &u, nil
}

func (w *writer) putUnopened(c *Unopened) error {
	room, err := w.room(c.Room)
	if err != nil {
		return err
	}
	u, err := w.findUnopened(room, c.ID)
	if err != nil || u == nil {
		return err
	}
	w.uncount(room, u)
	if u.quiet, u.reason = c.Quiet, c.Reason; u.counts() {
		room.unreadable++
		w.touchRoom(room)
	}
	return w.exec(`UPDATE unopened SET reason = ?, quiet = ? WHERE room = ? AND entry = ?`, c.Reason, c.Quiet, room.key, u.entry)
}

func (w *writer) uncount(room *roomState, u *unopened) {
	if u.counts() {
		room.unreadable--
		w.touchRoom(room)
	}
}

// openEntry makes of an entry that was not readable what it says.
func (w *writer) openEntry(o *Opening) (chat.Cursor, error) {
	room, err := w.room(o.Room)
	if err != nil {
		return 0, err
	}
	u, err := w.findUnopened(room, o.ID)
	if err != nil || u == nil {
		return 0, err
	}
	if err := w.exec(`DELETE FROM unopened WHERE room = ? AND entry = ?`, room.key, u.entry); err != nil {
		return 0, err
	}
	w.uncount(room, u)
	if !o.Content.message() {
		n := &note{
			room: room, entry: u.entry, id: o.ID, device: u.device, at: content.Place{HLC: u.hlc, Log: u.log, Seq: u.seq}, text: o.Text, c: o.Content,
		}
		if _, err := w.queryRow(func(s *sqlite3.Stmt) error { return fixed(n.person[:], s.ColumnRawBlob(0)) },
			`SELECT person FROM device WHERE id = ?`, u.device); err != nil {
			return 0, err
		}
		return 0, w.annotate(n)
	}
	if o.Text == "" {
		return 0, nil
	}
	// It may have waited for long.
	if now := time.Now(); o.Content.over(u.hlc, now) || room.keep > 0 && !u.sort.Time().Add(room.keep).After(now) {
		return 0, w.strip(u.entry)
	}
	return w.addMessage(room, &message{
		device: u.device, id: o.ID, at: place{u.sort, u.log, u.seq}, sent: u.hlc, received: u.received, mine: u.mine, text: o.Text, content: o.Content,
	})
}
