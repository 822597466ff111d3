package store

import (
	"bytes"

	"github.com/ncruces/go-sqlite3"

	"earshot/chat"
	"earshot/chat/content"
	"earshot/chat/wire"
)

// This file stores what entries say about messages, and what these become by it.

// became is the layout of became.shown. A message that was removed shows nothing but
// by whom.
type became struct {
	Edited  uint64       `cbor:"1,keyasint,omitempty"` // microseconds since 1970
	Removed *removedRow  `cbor:"2,keyasint,omitempty"`
	Signs   []becameSign `cbor:"3,keyasint,omitempty"`
}

type removedRow struct {
	_      struct{} `cbor:",toarray"`
	Person []byte
	Device []byte
	HLC    uint64
	Log    []byte // where the entry stands that removed it
	Seq    uint64
}

type becameSign struct {
	_      struct{} `cbor:",toarray"`
	Sign   string
	People []byte // ids, one behind the other
}

// note is an entry that says something about messages.
type note struct {
	room   *roomState
	entry  int64 // the entry's local key
	id     chat.EntryID
	device int64
	person chat.PersonID
	at     content.Place
	text   string
	c      *Content
}

// annotate stores what an entry says about messages or its room.
func (w *writer) annotate(n *note) error {
	switch {
	case n.c.Edit != nil:
		return w.addEdit(n)
	case n.c.React != nil:
		return w.addReaction(n)
	case n.c.Setting != nil:
		return w.addSetting(n)
	}
	for _, target := range n.c.Remove {
		if err := w.exec(`INSERT INTO removal (room, target, device, hlc, log, seq) VALUES (?, ?, ?, ?, ?, ?)
			ON CONFLICT (room, target, device) DO UPDATE SET hlc = excluded.hlc, log = excluded.log, seq = excluded.seq
			WHERE (excluded.hlc, excluded.log, excluded.seq) < (hlc, log, seq)`,
			n.room.key, target[:], n.device, uint64(n.at.HLC), n.at.Log[:], n.at.Seq); err != nil {
			return err
		}
		if err := w.refold(n.room, target); err != nil {
			return err
		}
	}
	return nil
}

func (w *writer) addEdit(n *note) error {
	target := *n.c.Edit
	m, err := w.subject(n.room, target)
	if err != nil {
		return err
	}
	if m != nil && (m.gone || m.expired) {
		return w.strip(n.entry)
	}
	if err := w.exec(`INSERT INTO edit (room, target, device, entry, eid, hlc, log, seq, calls, gone, mentions, text) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 0, ?, ?)`,
		n.room.key, target[:], n.device, n.entry, n.id[:], uint64(n.at.HLC), n.at.Log[:], n.at.Seq, n.c.MentionsMe, join(n.c.Mentions), n.text); err != nil {
		return err
	}
	// The newest are kept, whoever wrote them.
	var old []int64
	if err := w.query(func(s *sqlite3.Stmt) error {
		old = append(old, s.ColumnInt64(0))
		return nil
	}, `SELECT id FROM edit WHERE substr(target, 1, 8) = ? AND target = ? AND room = ? AND gone = 0
		ORDER BY hlc DESC, log DESC, seq DESC LIMIT -1 OFFSET ?`, target[:8], target[:], n.room.key, chat.MaxRevisions+1); err != nil {
		return err
	}
	for _, id := range old {
		if err := w.forgetEdit(id); err != nil {
			return err
		}
	}
	return w.refold(n.room, target)
}

// forgetEdit overwrites what an edit says; its entry keeps its payload.
func (w *writer) forgetEdit(id int64) error {
	return w.exec(`UPDATE edit SET gone = 1, text = CAST(zeroblob(length(CAST(text AS BLOB))) AS TEXT), mentions = zeroblob(length(mentions)) WHERE id = ?`, id)
}

func (w *writer) addReaction(n *note) error {
	r := n.c.React
	m, err := w.subject(n.room, r.Target)
	if err != nil || m != nil && (m.gone || m.expired) {
		return err
	}
	if err := w.exec(`INSERT INTO reaction (room, target, person, sign, off, hlc, log, seq) VALUES (?, ?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (room, target, person, sign) DO UPDATE SET off = excluded.off, hlc = excluded.hlc, log = excluded.log, seq = excluded.seq
		WHERE (excluded.hlc, excluded.log, excluded.seq) > (hlc, log, seq)`,
		n.room.key, r.Target[:], n.person[:], r.Sign, r.Off, uint64(n.at.HLC), n.at.Log[:], n.at.Seq); err != nil {
		return err
	}
	if err := w.exec(`DELETE FROM reaction WHERE room = ?1 AND target = ?2 AND (hlc, log, seq) <= (
		SELECT hlc, log, seq FROM reaction WHERE room = ?1 AND target = ?2 ORDER BY hlc DESC, log DESC, seq DESC LIMIT 1 OFFSET ?3)`,
		n.room.key, r.Target[:], chat.MaxReactions); err != nil {
		return err
	}
	return w.refold(n.room, r.Target)
}

// subject is a message about which something is said.
type subject struct {
	cursor                     int64
	person                     chat.PersonID
	at                         place
	mine, gone, expired, calls bool
	late                       int
}

// subject returns a message of a room, nil where it is not here.
func (w *writer) subject(room *roomState, id chat.EntryID) (*subject, error) {
	return w.subjectBy(`substr(m.entry, 1, 8) = ? AND m.entry = ? AND m.room = ?`, id[:8], id[:], room.key)
}

func (w *writer) subjectBy(where string, args ...any) (*subject, error) {
	var m subject
	found, err := w.queryRow(func(s *sqlite3.Stmt) error {
		m = subject{
			cursor: s.ColumnInt64(0), at: place{sort: chat.HLC(s.ColumnInt64(2)), seq: uint64(s.ColumnInt64(4))}, mine: s.ColumnBool(5),
			gone: s.ColumnBool(6), expired: s.ColumnBool(7), calls: s.ColumnBool(8), late: s.ColumnInt(9),
		}
		if err := fixed(m.person[:], s.ColumnRawBlob(1)); err != nil {
			return err
		}
		return fixed(m.at.log[:], s.ColumnRawBlob(3))
	}, `SELECT m.cursor, d.person, m.sort, m.log, m.seq, m.mine, m.gone, m.expired, m.calls, ifnull(m.late, 2)
		FROM message m CROSS JOIN device d ON d.id = m.device WHERE `+where, args...)
	if err != nil || !found {
		return nil, err
	}
	return &m, nil
}

// about is all that is known of a message, with the local keys of its edits.
type about struct {
	content.About
	edits []int64
	calls []bool
}

func (w *writer) about(room *roomState, id chat.EntryID, author chat.PersonID) (a about, err error) {
	a.Author = author
	if err = w.query(func(s *sqlite3.Stmt) error {
		e := content.Edit{At: content.Place{HLC: chat.HLC(s.ColumnInt64(1)), Seq: uint64(s.ColumnInt64(3))}, Text: s.ColumnText(4)}
		a.edits, a.calls = append(a.edits, s.ColumnInt64(0)), append(a.calls, s.ColumnBool(6))
		err := fixed(e.At.Log[:], s.ColumnRawBlob(2))
		if err == nil {
			err = fixed(e.By[:], s.ColumnRawBlob(5))
		}
		a.Edits = append(a.Edits, e)
		return err
	}, `SELECT e.id, e.hlc, e.log, e.seq, e.text, d.person, e.calls FROM edit e CROSS JOIN device d ON d.id = e.device
		WHERE substr(e.target, 1, 8) = ? AND e.target = ? AND e.room = ? AND e.gone = 0`, id[:8], id[:], room.key); err != nil {
		return a, err
	}
	if a.Removals, err = w.removals(room, id); err != nil {
		return a, err
	}
	if len(a.Removals) > 0 {
		if a.Tenures, err = w.tenures(room); err != nil {
			return a, err
		}
	}
	return a, w.query(func(s *sqlite3.Stmt) error {
		r := content.Reaction{Sign: s.ColumnText(1), Off: s.ColumnBool(2), At: content.Place{HLC: chat.HLC(s.ColumnInt64(3)), Seq: uint64(s.ColumnInt64(5))}}
		err := fixed(r.By[:], s.ColumnRawBlob(0))
		if err == nil {
			err = fixed(r.At.Log[:], s.ColumnRawBlob(4))
		}
		a.Reactions = append(a.Reactions, r)
		return err
	}, `SELECT person, sign, off, hlc, log, seq FROM reaction WHERE room = ? AND target = ?`, room.key, id[:])
}

func (w *writer) removals(room *roomState, id chat.EntryID) (out []content.Removal, err error) {
	return out, w.query(func(s *sqlite3.Stmt) error {
		r := content.Removal{At: content.Place{HLC: chat.HLC(s.ColumnInt64(2)), Seq: uint64(s.ColumnInt64(4))}}
		for i, dst := range map[int][]byte{0: r.By[:], 1: r.Device[:], 3: r.At.Log[:]} {
			if err := fixed(dst, s.ColumnRawBlob(i)); err != nil {
				return err
			}
		}
		out = append(out, r)
		return nil
	}, `SELECT d.person, d.device, r.hlc, r.log, r.seq FROM removal r CROSS JOIN device d ON d.id = r.device
		WHERE r.room = ? AND r.target = ?`, room.key, id[:])
}

func (w *writer) tenures(room *roomState) (out []content.Tenure, err error) {
	return out, w.query(func(s *sqlite3.Stmt) error {
		t := content.Tenure{From: chat.HLC(s.ColumnInt64(1)), Until: chat.HLC(s.ColumnInt64(2))}
		err := fixed(t.Person[:], s.ColumnRawBlob(0))
		out = append(out, t)
		return err
	}, `SELECT person, since, until FROM tenure WHERE room = ? ORDER BY person, since`, room.key)
}

// refold settles what is shown of a message after something was said about it. That
// it is another thing now is a fact.
func (w *writer) refold(room *roomState, id chat.EntryID) error {
	m, err := w.subject(room, id)
	if err != nil {
		return err
	}
	if m == nil {
		taken, err := w.removeUnread(room, id)
		if err != nil || taken {
			return err
		}
		room.awaits = true
		return w.exec(`INSERT OR IGNORE INTO awaited (room, target) VALUES (?, ?)`, room.key, id[:])
	}
	changed, err := w.fold(room, m, id)
	if err != nil || !changed {
		return err
	}
	return w.changed(m.cursor)
}

// changed notes that a message has changed.
func (w *writer) changed(message int64) error {
	w.cursor++
	w.changes = append(w.changes, w.cursor)
	return w.exec(`INSERT OR REPLACE INTO change_fact (cursor, message) VALUES (?, ?)`, uint64(w.cursor), message)
}

// fold settles what is shown of a message and reports whether that is another thing.
func (w *writer) fold(room *roomState, m *subject, id chat.EntryID) (changed bool, err error) {
	if m.expired {
		return false, nil
	}
	a, err := w.about(room, id, m.person)
	if err != nil {
		return false, err
	}
	shown := content.Fold(a.About)
	if shown.Removed == nil && m.gone { // who removed it had no right, as it seems now
		return false, nil
	}
	row, edit, calls := became{}, any(nil), m.calls
	if r := shown.Removed; r != nil {
		row.Removed = &removedRow{Person: r.By[:], Device: r.Device[:], HLC: uint64(r.At.HLC), Log: r.At.Log[:], Seq: r.At.Seq}
		if !m.gone {
			if err := w.purge(room, m, id, "gone"); err != nil {
				return false, err
			}
		}
	}
	if shown.Edit >= 0 {
		row.Edited, edit, calls = uint64(a.Edits[shown.Edit].At.HLC), a.edits[shown.Edit], a.calls[shown.Edit]
	}
	for _, s := range shown.Signs {
		row.Signs = append(row.Signs, becameSign{Sign: s.Sign, People: join(s.People)})
	}
	return w.become(m, row, edit, calls)
}

// become writes down what is shown of a message.
func (w *writer) become(m *subject, row became, edit any, calls bool) (changed bool, err error) {
	now := wire.Marshal(row)
	was, wasEdit := wire.Marshal(became{}), any(nil)
	if _, err := w.queryRow(func(s *sqlite3.Stmt) error {
		was = s.ColumnBlob(1, nil)
		if s.ColumnType(0) != sqlite3.NULL {
			wasEdit = s.ColumnInt64(0)
		}
		return nil
	}, `SELECT edit, shown FROM became WHERE message = ?`, m.cursor); err != nil {
		return false, err
	}
	if bytes.Equal(was, now) && wasEdit == edit {
		return false, nil
	}
	if err := w.exec(`INSERT INTO became (message, edit, shown) VALUES (?, ?, ?)
		ON CONFLICT (message) DO UPDATE SET edit = excluded.edit, shown = excluded.shown`, m.cursor, edit, now); err != nil {
		return false, err
	}
	if calls != m.calls {
		if err := w.exec(`UPDATE message SET calls = ? WHERE cursor = ?`, calls, m.cursor); err != nil {
			return false, err
		}
	}
	if edit == wasEdit || row.Removed != nil {
		return true, nil
	}
	return true, w.reindex(m.cursor)
}

// insertMessage adds the row of a message.
func (w *writer) insertMessage(room *roomState, cursor chat.Cursor, m *message) error {
	var client, reply, mentions, expires, late any
	calls := false
	if m.client != "" {
		client = m.client
	}
	if m.late != 2 {
		late = m.late
	}
	if c := m.content; c != nil {
		calls = c.MentionsMe
		if c.ReplyTo != nil {
			reply = c.ReplyTo[:]
		}
		if len(c.Mentions) > 0 {
			mentions = join(c.Mentions)
		}
		if c.Expires > 0 {
			expires = m.sent.Time().Add(c.Expires).UnixMicro()
		}
	}
	return w.exec(`INSERT INTO message (cursor, room, device, entry, sort, log, seq, sent, received, mine, text, client,
		gone, expired, early, late, calls, expires, reply, mentions) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0, 0, ?, ?, ?, ?, ?, ?)`,
		uint64(cursor), room.key, m.device, m.id[:], uint64(m.at.sort), m.at.log[:], m.at.seq, uint64(m.sent), m.received, m.mine, m.text, client,
		m.early, late, calls, expires, reply, mentions)
}

// meetAwaited settles what is shown of a message that was just stored, if something
// had been said about it. It is told of as it is shown, with the changes.
func (w *writer) meetAwaited(room *roomState, m *message, cursor chat.Cursor) (chat.Cursor, error) {
	if err := w.exec(`DELETE FROM awaited WHERE room = ? AND target = ?`, room.key, m.id[:]); err != nil || w.db.Changes() == 0 {
		return cursor, err
	}
	s, err := w.subject(room, m.id)
	if err != nil {
		return 0, err
	}
	if s == nil {
		return 0, errDecode
	}
	changed, err := w.fold(room, s, m.id)
	if err != nil || !changed {
		return cursor, err
	}
	w.changes = append(w.changes, cursor)
	return 0, nil
}

// join puts ids one behind the other; nil for none.
func join(list []chat.PersonID) (out []byte) {
	for _, p := range list {
		out = append(out, p[:]...)
	}
	return out
}

// split is the reverse.
func split(b []byte) (out []chat.PersonID) {
	for ; len(b) >= len(chat.PersonID{}); b = b[len(chat.PersonID{}):] {
		out = append(out, chat.PersonID(b[:len(chat.PersonID{})]))
	}
	return out
}
