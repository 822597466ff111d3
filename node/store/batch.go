package store

import "earshot/chat"

// Batch is what is stored together: all of it, or nothing.
type Batch struct {
	// Splits are carried out first.
	Splits []Split
	// Records are entries that are new here; see Append for their order.
	Records []Record
	// Unopened says why entries, of this batch too, are not readable.
	Unopened []Unopened
	// Openings are of entries that were not readable before.
	Openings []Opening
	Rooms    []RoomChange
	// Rules are of private rooms.
	Rules []Rules
	// Payloads are of entries that were stored without them.
	Payloads []Payload
	State    []StateChange
	// Guard, unless nil, is asked by the writer just before, and once more if the
	// batch is tried again on its own. Its error refuses the batch. So who makes
	// batches of a state that each changes can call back those behind one that
	// failed. It must not wait for the store.
	Guard func() error
}

// Commit stores a batch. It returns at once and keeps b.
//
// done is called as that of Append. It gets a cursor for each of Records, then of
// Openings, then of Rooms: 0 where nothing became a fact just now. Behind these come
// the cursors of what else became one: messages that have changed, and new ones of
// which something else is shown than what their entry says. It may be nil.
func (s *Store) Commit(b Batch, done func([]chat.Cursor, error)) {
	var cursors []chat.Cursor
	s.submit(len(b.Splits)+len(b.Records)+len(b.Unopened)+len(b.Openings)+len(b.Rooms)+len(b.Rules)+len(b.Payloads)+len(b.State), func(w *writer) (err error) {
		cursors, err = w.store(&b)
		return err
	}, withCursors(&cursors, done))
}

// withCursors has done get what an operation has found out, unless that has failed.
func withCursors(cursors *[]chat.Cursor, done func([]chat.Cursor, error)) func(error) {
	if done == nil {
		return nil
	}
	return func(err error) {
		if err != nil {
			*cursors = nil
		}
		done(*cursors, err)
	}
}

func (w *writer) store(b *Batch) ([]chat.Cursor, error) {
	if b.Guard != nil {
		if err := b.Guard(); err != nil {
			return nil, err
		}
	}
	w.changes = nil
	cursors := make([]chat.Cursor, 0, len(b.Records)+len(b.Openings)+len(b.Rooms))
	add := func(c chat.Cursor, err error) error {
		cursors = append(cursors, c)
		return err
	}
	for i := range b.Rules {
		if err := w.putRules(&b.Rules[i]); err != nil {
			return nil, err
		}
	}
	for i := range b.Splits {
		if err := w.split(&b.Splits[i]); err != nil {
			return nil, err
		}
	}
	for i := range b.Records {
		if err := add(w.append(&b.Records[i])); err != nil {
			return nil, err
		}
	}
	for i := range b.Unopened {
		if err := w.putUnopened(&b.Unopened[i]); err != nil {
			return nil, err
		}
	}
	for i := range b.Payloads {
		if err := w.putPayload(&b.Payloads[i]); err != nil {
			return nil, err
		}
	}
	for i := range b.Openings {
		if err := add(w.openEntry(&b.Openings[i])); err != nil {
			return nil, err
		}
	}
	for i := range b.Rooms {
		if err := add(w.putRoom(&b.Rooms[i])); err != nil {
			return nil, err
		}
	}
	for _, c := range b.State {
		if err := w.putState(c); err != nil {
			return nil, err
		}
	}
	return append(cursors, w.changes...), nil
}
