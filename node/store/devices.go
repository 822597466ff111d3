package store

import (
	"context"
	"time"

	"github.com/ncruces/go-sqlite3"

	"earshot/chat"
)

// DeviceRow is a device this node has met or read.
type DeviceRow struct {
	Device   chat.DeviceID
	Person   chat.PersonID
	Cert     []byte    // its certificate, as signed; nil while unknown
	Name     string    // what its person goes by, on all their devices; cleaned, "" while unknown
	LastSeen time.Time // zero if never
}

// PutDevice stores a device or what changed about it: a nil Cert, an empty Name
// and an earlier LastSeen leave what is stored. Name is from then on that of all
// the person's devices, and of what they wrote there. done may be nil; see Append
// for when it is called.
func (s *Store) PutDevice(d DeviceRow, done func(error)) {
	s.submit(1, func(w *writer) error {
		if _, err := w.device(d.Device, d.Person); err != nil {
			return err
		}
		if err := w.exec(`UPDATE device SET person = ?2, cert = ifnull(?3, cert), last_seen = max(last_seen, ?4) WHERE device = ?1`,
			d.Device[:], d.Person[:], d.Cert, micros(d.LastSeen)); err != nil || d.Name == "" {
			return err
		}
		return w.exec(`UPDATE device SET name = ?2 WHERE person = ?1 AND name <> ?2`, d.Person[:], d.Name)
	}, done)
}

// TouchDevices stores when devices were last seen; unknown devices and earlier
// times are left out. It keeps seen. done may be nil; see Append for when it is
// called.
func (s *Store) TouchDevices(seen map[chat.DeviceID]time.Time, done func(error)) {
	s.submit(len(seen), func(w *writer) error {
		for device, at := range seen {
			if err := w.exec(`UPDATE device SET last_seen = ?2 WHERE device = ?1 AND last_seen < ?2`, device[:], micros(at)); err != nil {
				return err
			}
		}
		return nil
	}, done)
}

// ForgetDevices forgets devices that nothing else which is stored names, until keep of
// them are left: those of strangers before those of the known, and of each those that
// were last seen longest ago. Nothing of self goes. It keeps known. done may be nil; see
// Append for when it is called.
func (s *Store) ForgetDevices(self chat.PersonID, known map[chat.PersonID]struct{}, keep int, done func(error)) {
	s.submit(1, func(w *writer) error {
		var strangers, others []int64
		if err := w.query(func(stmt *sqlite3.Stmt) error {
			var who chat.PersonID
			if err := fixed(who[:], stmt.ColumnRawBlob(1)); err != nil {
				return err
			}
			if _, ok := known[who]; ok {
				others = append(others, stmt.ColumnInt64(0))
			} else {
				strangers = append(strangers, stmt.ColumnInt64(0))
			}
			return nil
		}, selectUnnamed, self[:]); err != nil {
			return err
		}
		all := append(strangers, others...)
		for _, key := range all[:max(0, len(all)-keep)] {
			if err := w.exec(`DELETE FROM device WHERE id = ?`, key); err != nil {
				return err
			}
		}
		clear(w.devices)
		return nil
	}, done)
}

// selectUnnamed finds the devices of others that no other row names. Whoever wrote an
// entry has a log, unless its message came before its turn.
const selectUnnamed = `SELECT id, person FROM device WHERE person <> ?
	AND id NOT IN (SELECT device FROM log UNION SELECT device FROM message INDEXED BY message_early WHERE early = 1
		UNION SELECT device FROM receipt UNION SELECT device FROM receipt_step) ORDER BY last_seen, id`

// Devices returns every device, in the order in which they became known.
func (s *Store) Devices(ctx context.Context) ([]DeviceRow, error) {
	var rows []DeviceRow
	err := s.read(ctx, func(c *conn) error {
		return c.query(func(stmt *sqlite3.Stmt) error {
			d := DeviceRow{Name: stmt.ColumnText(3)}
			if stmt.ColumnType(2) != sqlite3.NULL {
				d.Cert = stmt.ColumnBlob(2, nil)
			}
			if seen := stmt.ColumnInt64(4); seen != 0 {
				d.LastSeen = time.UnixMicro(seen).UTC()
			}
			if err := fixed(d.Device[:], stmt.ColumnRawBlob(0)); err != nil {
				return err
			}
			if err := fixed(d.Person[:], stmt.ColumnRawBlob(1)); err != nil {
				return err
			}
			rows = append(rows, d)
			return nil
		}, `SELECT device, person, cert, name, last_seen FROM device ORDER BY id`)
	})
	return rows, err
}

// LogRow is how far a log is held: without a hole from its first entry, or from where it
// branches off, to LastSeq.
type LogRow struct {
	Room    chat.RoomID
	Log     chat.LogID
	Device  chat.DeviceID
	Person  chat.PersonID
	LastSeq uint64
	LastID  chat.EntryID
	LastHLC chat.HLC
	Branch  *LogBranch // nil for what begins with a first entry
}

// Logs returns the logs of all rooms, in the order in which they became known.
func (s *Store) Logs(ctx context.Context) ([]LogRow, error) {
	var rows []LogRow
	err := s.read(ctx, func(c *conn) error {
		type branch struct {
			row    int
			key    int64
			origin []byte
		}
		var branches []branch
		if err := c.query(func(stmt *sqlite3.Stmt) error {
			if stmt.ColumnType(8) != sqlite3.NULL {
				branches = append(branches, branch{len(rows), stmt.ColumnInt64(7), originOf(stmt, 8)})
			}
			l := LogRow{LastSeq: uint64(stmt.ColumnInt64(4)), LastHLC: chat.HLC(stmt.ColumnInt64(6))}
			for i, dst := range [][]byte{l.Room[:], l.Log[:], l.Device[:], l.Person[:], nil, l.LastID[:]} {
				if dst == nil {
					continue
				}
				if err := fixed(dst, stmt.ColumnRawBlob(i)); err != nil {
					return err
				}
			}
			rows = append(rows, l)
			return nil
		}, `SELECT r.room, l.log, d.device, d.person, l.last_seq, l.last_entry, l.last_hlc, l.id, l.origin
			FROM log l CROSS JOIN room r ON r.id = l.room CROSS JOIN device d ON d.id = l.device ORDER BY l.id`); err != nil {
			return err
		}
		for _, b := range branches {
			var err error
			if rows[b.row].Branch, err = c.branchOf(b.key, b.origin); err != nil {
				return err
			}
		}
		return nil
	})
	return rows, err
}

// micros returns t in microseconds since the Unix epoch, 0 for the zero time.
func micros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

// fixed copies src to dst if its length is exactly dst's; other lengths are damage.
func fixed(dst, src []byte) error {
	if len(src) != len(dst) {
		return errDecode
	}
	copy(dst, src)
	return nil
}
