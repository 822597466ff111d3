package store

import (
	"bytes"
	"cmp"
	"fmt"
	"time"

	"github.com/ncruces/go-sqlite3"

	"earshot/chat"
	"earshot/chat/content"
	"earshot/chat/wire"
)

// Record is an entry to be stored, with what its reader made of it.
type Record struct {
	Room       chat.RoomID
	Entry      wire.Entry    // checked and verified; Log is the branch that it is of, if any
	Person     chat.PersonID // of Entry.Device, by its certificate
	ReceivedAt time.Time
	// Sort places a message in the order shown: the entry's HLC, or the time of
	// arrival where its clock was ahead by more than chat.MaxFuture.
	Sort chat.HLC
	// Text is what a message says, cleaned. A record without one is no message.
	Text string
	// Content is what the entry says beyond that; nil for nothing.
	Content *Content
	// Unopened says that the entry is sealed and can't be read here, yet or for
	// ever; then there is no Text. It can be opened later: see Opening. Reason says
	// why, "" while it waits for a key.
	Unopened bool
	Reason   string
	// Quiet says that this person misses nothing by an unopened entry: it does not
	// count as unreadable.
	Quiet bool
	// Mine says that this person wrote it: it never counts as unread.
	Mine bool
	// ClientID names the action of a user that made this entry; "" for none.
	// A second entry with the same one is refused.
	ClientID string
	// Late is set by the store, before done is called, if the message came to stand
	// before what had been read.
	Late bool
}

// Append stores entries in the order given: all of them, or none. Within a log
// they must follow each other, and what is stored, without a hole and with a
// rising HLC; those already held are skipped. It returns at once and keeps recs.
//
// done is called from the writer's goroutine once recs are safely stored or have
// failed, in the order of the calls to Append. It gets the cursor of each record
// that became a fact just now, 0 for the others (already held, or not a message).
// It must be quick and must not wait for the store. It may be nil.
func (s *Store) Append(recs []Record, done func([]chat.Cursor, error)) {
	s.Commit(Batch{Records: recs}, done)
}

func (w *writer) append(rec *Record) (chat.Cursor, error) {
	e := &rec.Entry
	room, err := w.room(rec.Room)
	if err != nil {
		return 0, err
	}
	log, err := w.log(room.key, e.Log)
	if err != nil {
		return 0, err
	}
	if e.Seq <= log.lastSeq {
		return 0, nil
	}
	if !follows(log, e) {
		if w.failure != nil && e.Seq > log.lastSeq+1 {
			return 0, w.failure
		}
		return 0, fmt.Errorf("entry %v does not follow %s/%d", e, e.Log.Short(), log.lastSeq)
	}
	device, err := w.device(e.Device, rec.Person)
	if err != nil {
		return 0, err
	}
	if log.key == 0 {
		if err := w.begin(log, room.key, device, e); err != nil {
			return 0, err
		}
	}
	log.lastSeq, log.lastID, log.lastHLC = e.Seq, e.ID, e.HLC
	w.touchLog(log)
	if err := w.exec(`INSERT INTO entry (room, log, seq, hlc, head, sig, payload) VALUES (?, ?, ?, ?, ?, ?, ?)`,
		room.key, log.key, e.Seq, uint64(e.HLC), e.Head, e.Sig[:], payloadOf(e)); err != nil {
		return 0, err
	}
	if e.Kind == wire.KindKeyShare && e.Epoch != 0 {
		if err := w.exec(`INSERT INTO key_share (log, epoch, entry) VALUES (?, ?, ?)`, log.key, e.Epoch, w.db.LastInsertRowID()); err != nil {
			return 0, err
		}
	}
	at := place{rec.Sort, e.Log, e.Seq}
	if room.early > 0 {
		if shown, err := w.inTurn(room, e.ID, at); err != nil || shown {
			return 0, err
		}
	}
	switch {
	case e.Payload == nil && rec.Unopened && rec.Reason == Stripped:
		return w.addStripped(rec, room, device)
	case rec.Unopened:
		return 0, w.addUnopened(rec, room, device)
	case !rec.Content.message():
		return 0, w.annotate(&note{
			room: room, entry: w.db.LastInsertRowID(), id: e.ID, device: device, person: rec.Person, at: content.PlaceOf(&e.Header), text: rec.Text, c: rec.Content,
		})
	case rec.Text == "":
		return 0, nil
	case room.keep > 0 && !rec.Sort.Time().Add(room.keep).After(rec.ReceivedAt), rec.Content.over(e.HLC, rec.ReceivedAt):
		return 0, w.strip(w.db.LastInsertRowID())
	}
	m := message{
		device: device, id: e.ID, at: at, sent: e.HLC, received: rec.ReceivedAt.UnixMicro(),
		mine: rec.Mine, text: rec.Text, client: rec.ClientID, content: rec.Content,
	}
	cursor, err := w.addMessage(room, &m)
	rec.Late = m.late != 0
	return cursor, err
}

// message is a row of messages.
type message struct {
	device   int64
	id       chat.EntryID
	at       place
	sent     chat.HLC
	received int64
	mine     bool
	text     string
	client   string
	early    bool
	late     int      // as in the column; addMessage sets it
	content  *Content // nil for nothing beyond the text
}

func (w *writer) addMessage(room *roomState, m *message) (chat.Cursor, error) {
	if m.client != "" && !w.clients.lacks(m.client) {
		taken, err := w.queryRow(func(*sqlite3.Stmt) error { return nil }, `SELECT 1 FROM message WHERE client = ?`, m.client)
		if err != nil {
			return 0, err
		}
		if taken {
			return 0, chat.Errorf(chat.CodeUsage, "The client id %.40q was used for another message. Use a new one for every message.", m.client)
		}
	}
	if m.client != "" {
		w.clients.add(m.client)
	}
	w.cursor++
	m.late = room.late(m.at, m.mine)
	if err := w.insertMessage(room, w.cursor, m); err != nil {
		return 0, err
	}
	w.upkeep.unindexed.Add(1)
	if !m.mine {
		room.unread++ // also where it is late: nobody has read it
	}
	if m.at.sort >= room.lastSort {
		room.lastSort, room.lastSent = m.at.sort, m.sent
	}
	w.touchRoom(room)
	cursor := w.cursor
	if !room.awaits {
		return cursor, nil
	}
	return w.meetAwaited(room, m, cursor)
}

// place is where a message stands in the order shown in its room.
type place struct {
	sort chat.HLC
	log  chat.LogID
	seq  uint64
}

func (p place) compare(q place) int {
	return cmp.Or(cmp.Compare(p.sort, q.sort), bytes.Compare(p.log[:], q.log[:]), cmp.Compare(p.seq, q.seq))
}
