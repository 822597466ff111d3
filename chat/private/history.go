package private

import (
	"slices"
	"time"

	"earshot/chat"
	"earshot/chat/membership"
	"earshot/chat/seal"
	"earshot/chat/wire"
)

// history is how far this device has come with the past of a room that newcomers may
// read.
type history struct {
	begun    bool
	since    time.Time       // zero once nothing more is wanted
	answered []chat.DeviceID // that have told all they could in this run, ascending
}

// historyState is the same with one connected device.
type historyState struct {
	askedAt  time.Time // zero while it is not to answer
	wait     time.Duration
	brought  bool      // any key, by then
	over     bool      // it has answered on this connection
	answerAt time.Time // when it was last answered
}

const (
	// answerHistoryEvery bounds how often one device is told the keys of a room's
	// past.
	answerHistoryEvery = time.Minute
	// askHistoryFirst is how long an answer is waited for, twice as long each time,
	// up to askHistoryMost: who does not know yet that this person is in gives none.
	askHistoryFirst = 2 * time.Second
	askHistoryMost  = 2 * time.Minute
)

// askHistory asks a connected device for the keys of what was said before this one came,
// while there may be more than it has been told. What chat/seal could not use yet is
// lost with the process, so who has answered is remembered no longer than that.
func (e *Engine) askHistory(to chat.DeviceID, r *conversation) {
	p := e.connected[to]
	if !r.entered || r.history.since.IsZero() || e.now.Sub(r.history.since) > seal.KeyLife {
		return
	}
	_, in := r.member(p.person)
	_, answered := slices.BinarySearchFunc(r.history.answered, to, compareDevices)
	if !in || answered || e.revoked(p.person, to) {
		return
	}
	x := p.exchange(r.id)
	if x.history.over {
		return
	}
	h := &x.history
	if again := h.askedAt.Add(h.wait); !h.askedAt.IsZero() && e.now.Before(again) {
		e.due(again)
		return
	}
	h.askedAt, h.wait = e.now, min(max(askHistoryFirst, 2*h.wait), askHistoryMost)
	e.due(e.now.Add(h.wait))
	e.emit(Send{To: to, Frame: wire.HistoryWant{Room: r.id[:]}})
}

// keepsHistory reports whether a newcomer to a room may read everything.
func (r *conversation) keepsHistory() bool {
	return r != nil && r.entered && !r.direct() && r.log.State().History == membership.HistoryAll
}

// historyWant tells a member's device the keys of a room's past, if the room is one that
// tells newcomers.
func (e *Engine) historyWant(from chat.DeviceID, p *peer, f wire.HistoryWant) {
	r := e.rooms[chat.RoomID(f.Room)]
	if !r.keepsHistory() {
		return
	}
	x := p.exchange(r.id)
	if _, in := r.member(p.person); !in || !slices.Contains(e.InUse(p.person), from) ||
		!x.history.answerAt.IsZero() && e.now.Sub(x.history.answerAt) < answerHistoryEvery {
		return
	}
	x.spoke, x.history.answerAt = true, e.now
	grants := e.seal.Grants(r.id)
	for first := true; first || len(grants) > 0; first = false {
		n := min(len(grants), wire.MaxGrants)
		out := wire.History{Room: r.id[:], More: len(grants) > n}
		for _, g := range grants[:n] {
			out.Grants = append(out.Grants, wire.HistoryGrant{Device: g.Device[:], Epoch: g.Epoch, N: g.N, Key: g.Key[:]})
		}
		grants = grants[n:]
		e.emit(Send{To: from, Frame: out})
	}
}

// historyCame takes keys that were asked for.
func (e *Engine) historyCame(from chat.DeviceID, p *peer, f wire.History) {
	r := e.rooms[chat.RoomID(f.Room)]
	if !r.keepsHistory() || p.exchange(r.id).history.askedAt.IsZero() {
		return
	}
	if _, in := r.member(p.person); !in {
		return
	}
	g := seal.Granted{Room: r.id, From: from}
	for _, k := range f.Grants {
		g.Grants = append(g.Grants, seal.Grant{Device: chat.DeviceID(k.Device), Epoch: k.Epoch, N: k.N, Key: [32]byte(k.Key)})
	}
	e.run(g, nil)
	x := &p.exchange(r.id).history
	x.brought = x.brought || len(f.Grants) > 0
	if f.More {
		return
	}
	x.askedAt, x.over = time.Time{}, true
	// Who has nothing to give may be as new as this device, or another of this person's.
	at, answered := slices.BinarySearchFunc(r.history.answered, from, compareDevices)
	if answered || !x.brought || p.person == r.me {
		return
	}
	r.history.answered = slices.Insert(r.history.answered, at, from)
	// Who is in on the other side of a split network is not known, so there is no
	// telling that these were all.
	if len(r.history.answered) >= chat.MaxHistoryAnswers {
		r.history.since = time.Time{}
		e.keepRoom(r)
	}
}
