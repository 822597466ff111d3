package receipt

import (
	"bytes"
	"time"

	"earshot/chat"
)

const (
	// sayEach is how long a device waits between two statements about a room, for
	// each device known there: a second in a room of ten, where each statement goes
	// to nine. The first after a silence goes out at once.
	sayEach             = 100 * time.Millisecond
	leastWait, mostWait = 250 * time.Millisecond, time.Minute
	// restateRest is how often a device contradicts what somebody else says with its
	// key: the copy of a home that runs as well would answer, and so on for ever.
	restateRest = time.Minute
	// frameRoom is how much of a frame statements may take, in bytes, each of them
	// statementRoom beside its marks.
	frameRoom, statementRoom = chat.MaxFrame - 1024, 160
)

// reading returns what statements of a kind of reading are to say.
func (r *room) reading(k Kind) track {
	t := r.read[k]
	if t == nil {
		t = track{}
		r.read[k] = t
	}
	return t
}

// wait returns for how long a device is silent after a statement.
func (r *room) wait() time.Duration {
	return min(max(sayEach*time.Duration(len(r.devices)), leastWait), mostWait)
}

// say makes the statements that are due and gives them to the neighbours. What is held
// is not signed while nobody hears it; what was read is, to be kept.
func (e *Engine) say(r *room) {
	defer e.settle(r)
	if e.now.Before(r.sayAt) {
		return
	}
	near := e.neighbours(r.id)
	var fresh []*slot
	for _, k := range kinds {
		if !r.unsaid[k] || k == Held && len(near) == 0 {
			continue
		}
		delete(r.unsaid, k)
		if s := e.state(r, k); s != nil {
			fresh = append(fresh, s)
		}
	}
	if len(fresh) == 0 {
		return
	}
	r.sayAt = e.now.Add(r.wait())
	if r.contradicts {
		r.contradicts, r.restateAt = false, e.now.Add(restateRest)
	}
	cover := prefix(e.self)
	for _, d := range near {
		cover ^= prefix(d)
	}
	for _, d := range near {
		nb := e.near[d]
		var given []Statement
		for _, s := range fresh {
			if e.may(s, nb) {
				given = append(given, s.Statement)
			}
		}
		if len(given) > 0 {
			e.tell(Tell{To: d, Room: r.id, Statements: given, Cover: cover, Covered: true})
		}
	}
}

// state makes this device's statement of a kind, nil if the one there is says it all.
// Held stands for HeldKept too.
func (e *Engine) state(r *room, k Kind) *slot {
	t := r.holds
	if k == Held {
		k = e.cfg.World.HeldKind(r.id)
	} else {
		t = r.reading(k)
	}
	marks := t.marks()
	b := EncodeMarks(marks)
	old := r.slots[key{e.self, k}]
	if old == nil && len(marks) == 0 && r.floor == 0 || old != nil && bytes.Equal(old.Marks, b) && old.Version > r.floor {
		return nil
	}
	// Of the two kinds of holding the later counts, so one count of versions serves all.
	version := max(uint64(max(0, e.now.UnixMicro())), r.floor+1)
	for _, k := range kinds {
		version = max(version, r.version(key{e.self, k})+1)
	}
	s := &slot{Statement: Sign(e.cfg.Key, r.id, k, version, b), person: e.cfg.Person, marks: marks}
	e.put(r, s)
	e.emit(Keep{Room: r.id, Kept: Kept{s.Statement, s.person}})
	return s
}

// tell gives statements to a neighbour, in as many frames as it takes.
func (e *Engine) tell(t Tell) {
	all := t.Statements
	for len(all) > 0 {
		size, n := 0, 0
		for n < len(all) && n < chat.MaxReceipts {
			if size += statementRoom + len(all[n].Marks); size > frameRoom && n > 0 {
				break
			}
			n++
		}
		t.Statements, all = all[:n:n], all[n:]
		e.emit(t)
	}
}

// returned takes a statement that this device has made and does not know of: its home
// was restored from a backup, or runs as well somewhere else.
func (e *Engine) returned(r *room, s *Statement, marks []Mark) {
	k := s.Kind
	r.floor = max(r.floor, s.Version)
	if k.Reads() {
		if t := r.reading(k); t.raise(marks) {
			e.emit(ReadElsewhere{Room: r.id, Marks: marks})
		}
		r.unsaid[k] = true
	} else {
		// It may claim what this home does not hold.
		r.unsaid[Held] = true
	}
	if !r.contradicts { // however many tell of it, and how often
		r.contradicts, r.sayAt = true, later(r.sayAt, r.restateAt)
	}
	e.say(r)
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
