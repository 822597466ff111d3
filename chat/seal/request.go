package seal

import (
	"slices"
	"time"

	"earshot/chat"
	"earshot/chat/wire"
)

// epochID names an epoch among all.
type epochID struct {
	room   chat.RoomID
	device chat.DeviceID
	epoch  uint64
}

// waiting holds entries that can't be opened before their key comes, and what has
// been done to get it. It is bounded; what does not fit is handed over again by
// the caller after Learned.
type waiting struct {
	wanted map[epochID]*want
	count  int
	bytes  int
	of     map[chat.DeviceID]int // entries of each author
	epochs map[chat.DeviceID]int // wanted of each author
}

type want struct {
	id      epochID
	entries []wire.Entry
	asked   int
	since   time.Time // of the last request
}

func newWaiting() waiting {
	return waiting{wanted: map[epochID]*want{}, of: map[chat.DeviceID]int{}, epochs: map[chat.DeviceID]int{}}
}

// wants reports whether the epoch of an entry has been asked for.
func (w *waiting) wants(room chat.RoomID, en *wire.Entry) bool {
	return w.wanted[epochID{room, en.Device, en.Epoch}] != nil
}

// wait keeps an entry of an unknown epoch and asks for its key.
func (e *Engine) wait(now time.Time, r *room, en *wire.Entry) {
	if w := e.want(now, r, en); w != nil {
		e.waiting.add(w, en)
	}
	e.emit(Waiting{Room: r.id, ID: en.ID, Device: en.Device, Epoch: en.Epoch})
}

func (w *waiting) add(to *want, en *wire.Entry) {
	full := w.count >= maxWaiting || w.bytes+len(en.Payload) > maxWaitingBytes || w.of[en.Device] >= maxWaitingOf
	held := slices.ContainsFunc(to.entries, func(o wire.Entry) bool { return o.ID == en.ID })
	if full || held {
		return
	}
	to.entries = append(to.entries, *en)
	w.count++
	w.bytes += len(en.Payload)
	w.of[en.Device]++
}

// remove takes a want out of the books and returns its entries.
func (w *waiting) remove(id epochID) []wire.Entry {
	old := w.wanted[id]
	if old == nil {
		return nil
	}
	delete(w.wanted, id)
	if w.epochs[id.device]--; w.epochs[id.device] == 0 {
		delete(w.epochs, id.device)
	}
	for i := range old.entries {
		w.count--
		w.bytes -= len(old.entries[i].Payload)
	}
	if w.of[id.device] -= len(old.entries); w.of[id.device] == 0 {
		delete(w.of, id.device)
	}
	return old.entries
}

func (w *waiting) leave(room chat.RoomID) {
	for id := range w.wanted {
		if id.room == room {
			w.remove(id)
		}
	}
}

// want asks the author of an epoch for its key, unless that has been done or would
// go beyond the bounds; then it returns nil.
func (e *Engine) want(now time.Time, r *room, en *wire.Entry) *want {
	id := epochID{r.id, en.Device, en.Epoch}
	if w := e.waiting.wanted[id]; w != nil {
		return w
	}
	if len(e.waiting.wanted) >= maxWanted || e.waiting.epochs[en.Device] >= maxWantedOf || !budgetOf(e.asks, en.Device).take(now, maxAsksOf) {
		return nil
	}
	w := &want{id: id}
	e.waiting.wanted[id] = w
	e.waiting.epochs[en.Device]++
	e.ask(now, w)
	return w
}

// ask appends a request. It carries a prekey that this device surely has.
func (e *Engine) ask(now time.Time, w *want) {
	if e.prekey == nil {
		return // for want of randomness
	}
	w.asked++
	w.since = now
	e.emit(Append{
		Room: w.id.room, Kind: wire.KindKeyRequest, Epoch: w.id.epoch,
		Payload: wire.Marshal(request{Suite: Suite, Prekey: e.prekey.signed.Bytes()}),
	})
}

// askAgain repeats requests that nobody has answered, and gives up in the end.
func (e *Engine) askAgain(now time.Time) {
	for _, id := range sortedEpochs(e.waiting.wanted) {
		w := e.waiting.wanted[id]
		switch age := now.Sub(w.since); {
		case w.asked < maxAsks && age >= askAgain:
			if budgetOf(e.asks, id.device).take(now, maxAsksOf) {
				e.ask(now, w)
			}
		case w.asked >= maxAsks && age >= wantLife:
			for _, en := range e.waiting.remove(id) {
				e.emit(Unreadable{Room: id.room, ID: en.ID, Device: id.device, Epoch: id.epoch, Reason: NotShared})
			}
			// An answer can still come, but a key that its author has lost, too,
			// must not stand in the way of others for ever.
			if r := e.rooms[id.room]; r != nil {
				if ep := r.epoch(id.device, id.epoch); ep != nil && ep.lost {
					ep.lost = false
					e.persist(epochKey(r.id, ep), ep.encode())
				}
			}
		}
	}
	for _, m := range []map[chat.DeviceID]*budget{e.asks, e.answers} {
		for d, b := range m {
			if now.Sub(b.since) >= budgetTime {
				delete(m, d)
			}
		}
	}
}

// release handles what waited for an epoch.
func (e *Engine) release(now time.Time, r *room, ep *epoch) {
	for _, en := range e.waiting.remove(epochID{r.id, ep.device, ep.id}) {
		e.message(now, r, &en)
	}
}

// budget bounds what one device can make this one append.
type budget struct {
	since time.Time
	used  int
	last  map[uint64]time.Time // by epoch: at most one a use
}

func budgetOf(m map[chat.DeviceID]*budget, d chat.DeviceID) *budget {
	b := m[d]
	if b == nil {
		b = &budget{}
		m[d] = b
	}
	return b
}

// take uses one of most in budgetTime, if there is one left.
func (b *budget) take(now time.Time, most int) bool {
	if !within(now, b.since, budgetTime) {
		b.since, b.used, b.last = now, 0, map[uint64]time.Time{}
	}
	if b.used >= most {
		return false
	}
	b.used++
	return true
}

// mayRepeat reports whether an epoch was last answered long enough ago.
func (b *budget) mayRepeat(now time.Time, epoch uint64) bool {
	last, ok := b.last[epoch]
	return !ok || !within(now, last, answerAgain)
}

func (b *budget) repeated(now time.Time, epoch uint64) { b.last[epoch] = now }
