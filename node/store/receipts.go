package store

import (
	"context"
	"time"

	"github.com/ncruces/go-sqlite3"

	"earshot/chat"
)

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

// Receipt is what a device has said of how far it holds or has read a room; see
// chat/receipt for what it means.
type Receipt struct {
	Room    chat.RoomID
	Device  chat.DeviceID
	Person  chat.PersonID // of the device
	Kind    uint8
	Version uint64
	Marks   []byte
	Sig     []byte
}

// ReceiptStep says when this node learnt that a device holds, or its person has read,
// a log up to an entry. At is zero if that was too long ago to be remembered.
type ReceiptStep struct {
	Room   chat.RoomID
	Log    chat.LogID
	Device chat.DeviceID
	Person chat.PersonID // of the device, where it is stored; zero where it is read
	Read   bool
	Seq    uint64
	At     time.Time
}

// LogMark is how far a log was read.
type LogMark struct {
	Log chat.LogID
	Seq uint64
}

// PutReceipts stores statements, each in place of the one of its room, device and
// kind, and steps. See Append for when done is called; it may be nil.
func (s *Store) PutReceipts(receipts []Receipt, steps []ReceiptStep, done func(error)) {
	s.submit(len(receipts)+len(steps), func(w *writer) error {
		for i := range receipts {
			if err := w.putReceipt(&receipts[i]); err != nil {
				return err
			}
		}
		for i := range steps {
			if err := w.putStep(&steps[i]); err != nil {
				return err
			}
		}
		return nil
	}, done)
}

func (w *writer) putReceipt(r *Receipt) error {
	room, err := w.room(r.Room)
	if err != nil {
		return err
	}
	device, err := w.device(r.Device, r.Person)
	if err != nil {
		return err
	}
	return w.exec(`INSERT INTO receipt (room, device, kind, version, marks, sig) VALUES (?, ?, ?, ?, ?, ?)
		ON CONFLICT DO UPDATE SET version = excluded.version, marks = excluded.marks, sig = excluded.sig`,
		room.key, device, int(r.Kind), r.Version, r.Marks, r.Sig)
}

func (w *writer) putStep(st *ReceiptStep) error {
	room, err := w.room(st.Room)
	if err != nil {
		return err
	}
	log, err := w.log(room.key, st.Log)
	if err != nil || log.key == 0 {
		return err
	}
	device, err := w.device(st.Device, st.Person)
	if err != nil {
		return err
	}
	if err := w.exec(`INSERT INTO receipt_step (room, log, device, read, seq, at) VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`,
		room.key, log.key, device, st.Read, st.Seq, micros(st.At)); err != nil || st.Seq%(chat.MaxReceiptSteps/4) != 0 {
		return err
	}
	// Of what stands before the oldest that is kept, and of that, the time is not
	// known any more.
	var oldest int64
	found, err := w.queryRow(func(s *sqlite3.Stmt) error {
		oldest = s.ColumnInt64(0)
		return nil
	}, `SELECT seq FROM receipt_step WHERE room = ? AND log = ? AND device = ? AND read = ? ORDER BY seq DESC LIMIT 1 OFFSET ?`,
		room.key, log.key, device, st.Read, chat.MaxReceiptSteps-1)
	if err != nil || !found {
		return err
	}
	if err := w.exec(`DELETE FROM receipt_step WHERE room = ? AND log = ? AND device = ? AND read = ? AND seq < ?`,
		room.key, log.key, device, st.Read, oldest); err != nil {
		return err
	}
	return w.exec(`UPDATE receipt_step SET at = 0 WHERE room = ? AND log = ? AND device = ? AND read = ? AND seq = ?`,
		room.key, log.key, device, st.Read, oldest)
}

// Receipts returns every statement that is stored.
func (s *Store) Receipts(ctx context.Context) ([]Receipt, error) {
	var out []Receipt
	err := s.read(ctx, func(c *conn) error {
		return c.query(func(stmt *sqlite3.Stmt) error {
			r := Receipt{
				Kind: uint8(stmt.ColumnInt(3)), Version: uint64(stmt.ColumnInt64(4)),
				Marks: stmt.ColumnBlob(5, []byte{}), Sig: stmt.ColumnBlob(6, nil),
			}
			for i, dst := range [][]byte{r.Room[:], r.Device[:], r.Person[:]} {
				if err := fixed(dst, stmt.ColumnRawBlob(i)); err != nil {
					return err
				}
			}
			out = append(out, r)
			return nil
		}, `SELECT r.room, d.device, d.person, t.kind, t.version, t.marks, t.sig
			FROM receipt t CROSS JOIN room r ON r.id = t.room CROSS JOIN device d ON d.id = t.device`)
	})
	return out, err
}

// ReceiptSteps returns, for each device, when this node learnt that it holds an entry,
// and that its person has read it.
func (s *Store) ReceiptSteps(ctx context.Context, room chat.RoomID, log chat.LogID, seq uint64) ([]ReceiptStep, error) {
	var out []ReceiptStep
	err := s.read(ctx, func(c *conn) error {
		return c.query(func(stmt *sqlite3.Stmt) error {
			st := ReceiptStep{Room: room, Log: log, Read: stmt.ColumnBool(1), Seq: uint64(stmt.ColumnInt64(2))}
			if at := stmt.ColumnInt64(3); at != 0 {
				st.At = time.UnixMicro(at).UTC()
			}
			out = append(out, st)
			return fixed(out[len(out)-1].Device[:], stmt.ColumnRawBlob(0))
		}, `SELECT d.device, t.read, min(t.seq), t.at FROM room r CROSS JOIN log l ON l.room = r.id AND l.log = ?
			CROSS JOIN receipt_step t ON t.room = r.id AND t.log = l.id AND t.seq >= ? CROSS JOIN device d ON d.id = t.device
			WHERE r.room = ? GROUP BY t.device, t.read ORDER BY d.device, t.read`, log[:], seq, room[:])
	})
	return out, err
}

// HeldIn returns how far the logs of a room are held: without a hole, and up to before
// the first entry that came without its payload for no reason that is known. lacking
// says that there is such an entry.
func (s *Store) HeldIn(ctx context.Context, room chat.RoomID) (out []HeldLog, lacking bool, err error) {
	err = s.read(ctx, func(c *conn) error {
		return c.query(func(stmt *sqlite3.Stmt) error {
			h := HeldLog{Seq: uint64(stmt.ColumnInt64(3))}
			if first := uint64(stmt.ColumnInt64(4)); first > 0 {
				h.Seq, lacking = min(h.Seq, first-1), true
			}
			for i, dst := range [][]byte{h.Log[:], h.Device[:], h.Person[:]} {
				if err := fixed(dst, stmt.ColumnRawBlob(i)); err != nil {
					return err
				}
			}
			out = append(out, h)
			return nil
		}, `WITH gap AS MATERIALIZED (SELECT e.log, min(e.seq) AS first FROM unopened u INDEXED BY unopened_stripped
				CROSS JOIN entry e ON e.id = u.entry
				WHERE u.room = (SELECT id FROM room WHERE room = ?1) AND u.reason = 'stripped' GROUP BY e.log)
			SELECT l.log, d.device, d.person, l.last_seq, gap.first
			FROM room r CROSS JOIN log l ON l.room = r.id CROSS JOIN device d ON d.id = l.device LEFT JOIN gap ON gap.log = l.id
			WHERE r.room = ?1 ORDER BY l.id`, room[:])
	})
	return out, lacking && err == nil, err
}

// Stands returns where messages stand, for those of ids that are messages here.
func (s *Store) Stands(ctx context.Context, ids []chat.EntryID) (map[chat.EntryID]Stand, error) {
	out := make(map[chat.EntryID]Stand, len(ids))
	err := s.read(ctx, func(c *conn) error {
		for _, id := range ids {
			if _, err := c.queryRow(func(stmt *sqlite3.Stmt) error {
				st := Stand{Seq: uint64(stmt.ColumnInt64(2)), Sent: chat.HLC(stmt.ColumnInt64(3))}
				if err := fixed(st.Room[:], stmt.ColumnRawBlob(0)); err != nil {
					return err
				}
				if err := fixed(st.Log[:], stmt.ColumnRawBlob(1)); err != nil {
					return err
				}
				out[id] = st
				return nil
			}, `SELECT r.room, m.log, m.seq, m.sent FROM message m CROSS JOIN room r ON r.id = m.room
				WHERE substr(m.entry, 1, 8) = ? AND m.entry = ?`, id[:8], id[:]); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// MessageByID returns a message of whatever room as it is shown now; one that is unknown
// or has disappeared is CodeNotFound.
func (s *Store) MessageByID(ctx context.Context, id chat.EntryID) (m chat.Message, err error) {
	err = s.read(ctx, func(c *conn) error {
		found, err := c.queryRow(func(stmt *sqlite3.Stmt) (err error) {
			m, err = scanMessage(stmt)
			return err
		}, selectMessage+`WHERE substr(m.entry, 1, 8) = ? AND m.entry = ? AND m.expired = 0`, id[:8], id[:])
		if err == nil && !found {
			err = chat.Errorf(chat.CodeNotFound, "There is no message %s here. Copy its id from the history of its room.", id.Short())
		}
		return err
	})
	return m, err
}

// MessagesBetween returns the ids of up to limit messages that lie between two,
// inclusive, by the first 8 bytes of their ids.
func (s *Store) MessagesBetween(ctx context.Context, from, to [8]byte, limit int) ([]chat.EntryID, error) {
	var out []chat.EntryID
	err := s.read(ctx, func(c *conn) error {
		return c.query(func(stmt *sqlite3.Stmt) error {
			var id chat.EntryID
			if err := fixed(id[:], stmt.ColumnRawBlob(0)); err != nil {
				return err
			}
			out = append(out, id)
			return nil
		}, `SELECT entry FROM message WHERE substr(entry, 1, 8) BETWEEN ? AND ? ORDER BY substr(entry, 1, 8) LIMIT ?`, from[:], to[:], limit)
	})
	return out, err
}
