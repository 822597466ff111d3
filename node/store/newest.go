package store

import (
	"context"
	"slices"

	"github.com/ncruces/go-sqlite3"

	"earshot/chat"
	"earshot/chat/wire"
)

// NewestQuery asks for the newest messages of a room, with what is needed to check
// and to open them.
type NewestQuery struct {
	Have       map[chat.LogID]uint64  // as in Missing
	Before     chat.HLC               // none that is dated later
	Limit      int                    // messages
	MaxEntries int                    // messages and the rest
	MaxBytes   int                    // of all
	Shares     func(*wire.Entry) bool // which key shares are of use; nil for all
}

// maxNewestScan bounds the entries that are looked at for one page: about 10 ms.
const maxNewestScan = 2048

// Newest returns the newest messages of a room that Have does not hold, oldest first,
// behind what is needed to check and open them: of each log of which Have has nothing
// the first entry, and the key shares of their epochs that Have does not hold. A
// message for which that does not fit is left out, and so are those of branches.
func (s *Store) Newest(ctx context.Context, room chat.RoomID, q NewestQuery) (out []wire.Entry, err error) {
	err = s.read(ctx, func(c *conn) error {
		return c.snapshot(func() error {
			key, found, err := c.roomKey(room)
			if err != nil || !found {
				return err
			}
			p := newest{conn: c, q: q, logs: map[int64]uint64{}, opened: map[int64]bool{}, shared: map[share]bool{}}
			if err := p.run(key); err != nil {
				return err
			}
			slices.Reverse(p.messages)
			out = append(p.before, p.messages...)
			return nil
		})
	})
	return out, err
}

// newest is one call of Newest.
type newest struct {
	*conn
	q      NewestQuery
	logs   map[int64]uint64 // what Have has of each that lacks something
	opened map[int64]bool   // logs whose first entry is in before
	shared map[share]bool   // epochs whose shares are in before

	before, messages []wire.Entry
	bytes            int
}

// share names an epoch of a log, by its local key.
type share struct {
	log   int64
	epoch uint64
}

func (p *newest) run(room int64) error {
	if err := p.query(func(s *sqlite3.Stmt) error {
		var log chat.LogID
		if err := fixed(log[:], s.ColumnRawBlob(1)); err != nil {
			return err
		}
		if have := p.q.Have[log]; uint64(s.ColumnInt64(2)) > have {
			p.logs[s.ColumnInt64(0)] = have
		}
		return nil
	}, `SELECT id, log, last_seq FROM log WHERE room = ? AND origin IS NULL`, room); err != nil || len(p.logs) == 0 {
		return err
	}
	type place struct{ id, log int64 }
	var scan []place
	if err := p.query(func(s *sqlite3.Stmt) error {
		at := place{s.ColumnInt64(0), s.ColumnInt64(1)}
		if have, lacks := p.logs[at.log]; lacks && uint64(s.ColumnInt64(2)) > have {
			scan = append(scan, at)
		}
		return nil
	}, `SELECT id, log, seq FROM entry WHERE room = ? AND hlc <= ? ORDER BY hlc DESC, log DESC, seq DESC LIMIT ?`,
		room, uint64(p.q.Before), maxNewestScan); err != nil {
		return err
	}
	for _, at := range scan {
		if len(p.messages) == p.q.Limit {
			break
		}
		if err := p.take(at.id, at.log); err != nil {
			return err
		}
	}
	return nil
}

// take adds an entry, if it is a message, with what it needs and is not there yet.
func (p *newest) take(id, log int64) error {
	e, size, err := p.entry(`SELECT head, sig, payload FROM entry WHERE id = ?`, id)
	if err != nil || e.Kind != wire.KindMessage || e.Payload == nil {
		return err
	}
	var needs []wire.Entry
	opens := p.logs[log] == 0 && !p.opened[log]
	if opens {
		first, bytes, err := p.entry(`SELECT head, sig, payload FROM entry WHERE log = ? AND seq = 1`, log)
		if err != nil {
			return err
		}
		needs, size = append(needs, first), size+bytes
	}
	epoch := share{log, e.Epoch}
	shares := e.Epoch != 0 && !p.shared[epoch]
	if shares {
		if err := p.query(func(s *sqlite3.Stmt) error {
			sh, bytes, err := scanEntry(s, 0)
			if err != nil || sh.Seq <= p.logs[log] || p.q.Shares != nil && !p.q.Shares(&sh) {
				return err
			}
			needs, size = append(needs, sh), size+bytes
			return nil
		}, `SELECT e.head, e.sig, e.payload FROM key_share k CROSS JOIN entry e ON e.id = k.entry
			WHERE k.log = ? AND k.epoch = ? ORDER BY k.entry`, log, e.Epoch); err != nil {
			return err
		}
	}
	size += perEntry * (len(needs) + 1)
	if p.bytes+size > p.q.MaxBytes || len(p.before)+len(p.messages)+len(needs)+1 > p.q.MaxEntries {
		return nil
	}
	p.opened[log], p.shared[epoch] = p.opened[log] || opens, p.shared[epoch] || shares
	p.before, p.messages, p.bytes = append(p.before, needs...), append(p.messages, e), p.bytes+size
	return nil
}

// perEntry is what an entry takes in a frame beside its three parts, in bytes.
const perEntry = 16

func (p *newest) entry(sql string, args ...any) (e wire.Entry, size int, err error) {
	_, err = p.queryRow(func(s *sqlite3.Stmt) (err error) {
		e, size, err = scanEntry(s, 0)
		return err
	}, sql, args...)
	return e, size, err
}

// Unmet is an entry's word that a log goes further than is stored.
type Unmet struct {
	Log   chat.LogID
	Seq   uint64
	By    chat.DeviceID // its author
	Entry chat.EntryID  // zero if it is no message
}

// unmetScan bounds the entries that Unmet looks at: about 10 ms.
const unmetScan = 1024

// Unmet returns what the newest entries of a room name as seen and is not stored.
func (s *Store) Unmet(ctx context.Context, room chat.RoomID) (out []Unmet, err error) {
	err = s.read(ctx, func(c *conn) error {
		return c.snapshot(func() error {
			key, found, err := c.roomKey(room)
			if err != nil || !found {
				return err
			}
			held := map[chat.LogID]uint64{}
			if err := c.query(func(s *sqlite3.Stmt) error {
				var log chat.LogID
				err := fixed(log[:], s.ColumnRawBlob(0))
				held[log] = uint64(s.ColumnInt64(1))
				return err
			}, `SELECT log, last_seq FROM log WHERE room = ?`, key); err != nil {
				return err
			}
			return c.query(func(s *sqlite3.Stmt) error {
				e, _, err := scanEntry(s, 0)
				if err != nil {
					return err
				}
				if e.Kind != wire.KindMessage {
					e.ID = chat.EntryID{}
				}
				for _, d := range e.Deps {
					if held[d.Log] < d.Seq {
						out = append(out, Unmet{Log: d.Log, Seq: d.Seq, By: e.Device, Entry: e.ID})
					}
				}
				return nil
			}, `SELECT head, sig, payload FROM entry WHERE room = ? ORDER BY hlc DESC, log DESC, seq DESC LIMIT ?`, key, unmetScan)
		})
	})
	return out, err
}
