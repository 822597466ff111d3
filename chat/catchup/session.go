package catchup

import (
	"bytes"
	"slices"

	"earshot/chat"
	"earshot/chat/wire"
)

// RoomState is what this node holds of a room when a session starts.
type RoomState struct {
	Room     chat.RoomID
	Root     [32]byte
	Frontier []wire.LogHead // in ascending order of log
	Base     *Base          // as Bases remembers it; nil for none
	Wanted   []wire.LogSeq  // entries whose payloads are wanted here
}

// Session (PROTOCOL.md#earshotsync1) is one conversation in which two nodes send each other what the other
// lacks. Both sides run the same machine; the asker speaks first. It does no I/O:
// feed it what arrives and do what it returns.
//
//	asker    Compare(rooms, roots)  ->
//	         <-  Compare(those that differ)          answerer
//	both     Frontier...  for each of these, then
//	both     Entries...   what the other lacks, oldest first, then Done
//
// Meanwhile either side may ask, once for a room, for the newest messages first.
type Session struct {
	asker    bool
	nonce    []byte
	rooms    map[chat.RoomTag]*sessionRoom
	offered  []RoomState
	compared bool
	order    []chat.RoomTag // rooms that differ, in the order they are sent
	sending  int            // index in order of the room being loaded
	loading  bool
	sent     uint64
	lines    int // of their frontiers
	sentDone bool
	gotDone  bool
	viewed   chat.RoomID // on a screen here; zero for none
	wishes   int         // rooms for which payloads were asked for here
	supplied int         // and there
}

type sessionRoom struct {
	state    RoomState
	differs  bool // and is being settled
	theirs   map[chat.LogID]uint64
	lasts    map[chat.LogID][]byte // likewise, of the id of that entry
	logs     []chat.LogID          // of theirs, ascending
	last     []byte                // log of the newest line
	complete bool                  // their whole frontier is here
	based    bool                  // both sides remember state.Base
	delta    bool                  // their frontier is given by it
	wished   bool                  // the newest were asked for
	awaits   bool                  // and have not come
	limit    int                   // how many the other side has asked for; 0 for none
	enough   bool                  // the other side wants no more
	wanted   map[place]bool        // payloads that were asked for here, and have not come
	supplied bool                  // payloads were asked for there
}

// plenty is how much may come of a room, in entries, that it should not come in two
// sessions at a time.
const plenty = 4 * chat.MaxBatch

// pageful is how much may be missing, in entries, before the newest are sent first:
// less comes at once anyway.
const pageful = chat.MaxBatch

// SessionEffect is what a session wants done. A sealed union.
type SessionEffect interface{ isSessionEffect() }

// Send says: send this frame to the other side.
type Send struct{ Frame wire.Frame }

// Load says: read the next entries of Room that the other side lacks, oldest
// first, and give them to Loaded. Have is for each log the highest number that
// the other side holds.
type Load struct {
	Room chat.RoomID
	Have map[chat.LogID]uint64
	// First is true for the first page of a room: the reader starts anew.
	First bool
}

// Take says: these entries arrived for Room, in order; verify and keep them.
type Take struct {
	Room    chat.RoomID
	Entries []wire.RawEntry
}

// Give says: read the newest messages of Room that the other side lacks, at most
// Limit, with what opens them, and send them at once in a wire.Newest under Tag.
type Give struct {
	Room  chat.RoomID
	Tag   []byte
	Have  map[chat.LogID]uint64 // as in Load
	Limit int
}

// Show says: these came out of turn for Room; verify and show them.
type Show struct {
	Room    chat.RoomID
	Entries []wire.RawEntry
}

// Remember says: this is what both sides held of Room together.
type Remember struct {
	Room chat.RoomID
	Base *Base
}

// Coming says: so many entries of Room are about to come. If another session brings
// them already, say Enough.
type Coming struct {
	Room    chat.RoomID
	Missing uint64
}

// Finish says that both sides have everything the other had when it started.
type Finish struct{}

func (Send) isSessionEffect()   {}
func (Load) isSessionEffect()   {}
func (Take) isSessionEffect()   {}
func (Finish) isSessionEffect() {}
func (Give) isSessionEffect()   {}
func (Show) isSessionEffect()   {}

func (Coming) isSessionEffect()   {}
func (Remember) isSessionEffect() {}

// Ask starts a session as the asker and returns what to do first. nonce is
// wire.NonceSize random bytes.
func Ask(nonce []byte, rooms []RoomState) (*Session, []SessionEffect) {
	s := &Session{asker: true, nonce: nonce, rooms: map[chat.RoomTag]*sessionRoom{}, offered: rooms}
	s.enrol(rooms)
	return s, []SessionEffect{Send{wire.Compare{Nonce: nonce, Rooms: roots(nonce, rooms), Bases: bases(rooms)}}}
}

// bases returns what a Compare says of what is remembered, nil for nothing.
func bases(rooms []RoomState) [][]byte {
	out, any := make([][]byte, len(rooms)), false
	for i, r := range rooms {
		out[i] = []byte{}
		if r.Base != nil {
			out[i], any = r.Base.ID[:], true
		}
	}
	if !any {
		return nil
	}
	return out
}

// Answer starts a session as the answerer, which says nothing before the asker.
func Answer(rooms []RoomState) *Session {
	return &Session{rooms: map[chat.RoomTag]*sessionRoom{}, offered: rooms}
}

// roots returns what a Have or Compare says about rooms under nonce.
func roots(nonce []byte, rooms []RoomState) []wire.RoomRoot {
	out := make([]wire.RoomRoot, 0, len(rooms))
	for _, r := range rooms {
		tag := r.Room.SessionTag(nonce)
		out = append(out, wire.RoomRoot{Tag: tag[:], Root: r.Root[:]})
	}
	return out
}

func (s *Session) enrol(rooms []RoomState) {
	for _, r := range rooms {
		s.rooms[r.Room.SessionTag(s.nonce)] = &sessionRoom{state: r, theirs: map[chat.LogID]uint64{}, lasts: map[chat.LogID][]byte{}}
	}
}

// Sent returns how many entries the other side lacked and was sent.
func (s *Session) Sent() int { return int(s.sent) }

// Handle takes a frame from the other side. An error ends the session: the other
// side does not keep to the protocol.
func (s *Session) Handle(f wire.Frame) ([]SessionEffect, error) {
	switch f := f.(type) {
	case wire.Compare:
		return s.compare(f)
	case wire.Frontier:
		return s.frontier(f)
	case wire.Entries:
		r := s.rooms[chat.RoomTag(f.Tag)]
		if r == nil || !r.complete || s.gotDone {
			return nil, broken("entries that were not asked for")
		}
		return []SessionEffect{Take{Room: r.state.Room, Entries: f.Entries}}, nil
	case wire.WantNewest:
		r := s.rooms[chat.RoomTag(f.Tag)]
		if r == nil || !r.differs || r.limit != 0 || s.gotDone {
			return nil, broken("a wish out of place")
		}
		if r.limit = int(f.Limit); r.complete {
			return s.give(r, nil), nil
		}
		return nil, nil
	case wire.Newest:
		r := s.rooms[chat.RoomTag(f.Tag)]
		if r == nil || !r.awaits || s.gotDone {
			return nil, broken("messages ahead of their turn that were not asked for")
		}
		r.awaits = false
		return []SessionEffect{Show{Room: r.state.Room, Entries: f.Entries}}, nil
	case wire.WantPayloads:
		return s.supply(f)
	case wire.Payloads:
		return s.fill(f)
	case wire.Enough:
		r := s.rooms[chat.RoomTag(f.Tag)]
		if r == nil || !r.differs || r.enough {
			return nil, broken("a refusal out of place")
		}
		r.enough = true
		return nil, nil
	case wire.Done:
		if !s.compared || s.gotDone {
			return nil, broken("an end before the beginning")
		}
		for _, tag := range s.order {
			if !s.rooms[tag].complete {
				return nil, broken("an end without saying what it holds")
			}
		}
		s.gotDone = true
		return s.finish(nil), nil
	case wire.Unknown:
		return nil, nil
	}
	return nil, broken("a frame that has no place in a sync session")
}

func (s *Session) compare(f wire.Compare) ([]SessionEffect, error) {
	if s.compared {
		return nil, broken("a second comparison")
	}
	s.compared = true
	var effects []SessionEffect
	var differ []RoomState
	if !s.asker {
		s.nonce = f.Nonce
		s.enrol(s.offered)
	} else if !bytes.Equal(f.Nonce, s.nonce) {
		return nil, broken("another session's nonce")
	}
	for i, theirs := range f.Rooms {
		tag := chat.RoomTag(theirs.Tag)
		r := s.rooms[tag]
		if r == nil || r.differs {
			if s.asker {
				return nil, broken("a room that was not named")
			}
			continue // a room this node is not in
		}
		if s.asker || !bytes.Equal(theirs.Root, r.state.Root[:]) {
			r.differs = true
			s.order = append(s.order, tag)
			state := r.state
			if r.based = state.Base != nil && f.Bases != nil && bytes.Equal(f.Bases[i], state.Base.ID[:]); !r.based {
				state.Base = nil
			}
			differ = append(differ, state)
		}
	}
	if !s.asker {
		effects = append(effects, Send{wire.Compare{Nonce: s.nonce, Rooms: roots(s.nonce, differ), Bases: bases(differ)}})
	}
	for _, tag := range s.order {
		if r := s.rooms[tag]; r.state.Room == s.viewed { // so that they come before all else
			effects = append(effects, s.want(r, tag))
		}
		effects = s.wants(s.rooms[tag], tag, effects)
		effects = append(effects, s.sendFrontier(tag)...)
	}
	if len(s.order) == 0 {
		effects = s.done(effects)
	}
	return effects, nil
}

// maxLines bounds the frontiers of one session, in logs: what they cost in memory
// is under 8 MiB.
const maxLines = 16 * chat.MaxLogsPerRoom

func (s *Session) sendFrontier(tag chat.RoomTag) []SessionEffect {
	r := s.rooms[tag]
	logs, delta := r.state.Frontier, false
	if r.based {
		if lines, ok := r.state.Base.delta(logs); ok {
			logs, delta = lines, true
		}
	}
	var out []SessionEffect
	for {
		n := min(len(logs), wire.MaxLogs)
		out = append(out, Send{wire.Frontier{Tag: tag[:], Logs: logs[:n], More: n < len(logs), Delta: delta}})
		if logs = logs[n:]; len(logs) == 0 {
			return out
		}
	}
}

func (s *Session) frontier(f wire.Frontier) ([]SessionEffect, error) {
	tag := chat.RoomTag(f.Tag)
	r := s.rooms[tag]
	if r == nil || !r.differs || r.complete || f.Delta && !r.based || f.Delta != r.delta && r.last != nil {
		return nil, broken("a frontier that was not asked for")
	}
	r.delta = f.Delta
	if s.lines += len(f.Logs); s.lines > maxLines || (f.More && len(f.Logs) == 0) {
		return nil, broken("a frontier without end")
	}
	for _, l := range f.Logs {
		if bytes.Compare(r.last, l.Log) >= 0 {
			return nil, broken("a frontier out of order")
		}
		r.last = l.Log
		r.theirs[chat.LogID(l.Log)], r.lasts[chat.LogID(l.Log)] = l.Seq, l.Last
	}
	if f.More {
		return nil, nil
	}
	r.complete = true
	if r.delta {
		for _, l := range r.state.Base.Frontier {
			if id := chat.LogID(l.Log); r.theirs[id] == 0 {
				r.theirs[id], r.lasts[id] = l.Seq, l.Last
			}
		}
	}
	for id := range r.theirs {
		r.logs = append(r.logs, id)
	}
	slices.SortFunc(r.logs, func(a, b chat.LogID) int { return bytes.Compare(a[:], b[:]) })
	var effects []SessionEffect
	if base := union(r.state.Frontier, r.theirs, r.lasts, r.logs); base != nil {
		effects = append(effects, Remember{Room: r.state.Room, Base: base})
	}
	r.part()
	if n := r.missing(); n > plenty {
		effects = append(effects, Coming{Room: r.state.Room, Missing: n})
	}
	return s.load(s.give(r, s.wish(effects))), nil
}

// give gives the newest, if they were asked for and much else comes before them.
func (s *Session) give(r *sessionRoom, effects []SessionEffect) []SessionEffect {
	if r.limit == 0 || s.sentDone || r.excess() <= pageful {
		return effects
	}
	tag := r.state.Room.SessionTag(s.nonce)
	return append(effects, Give{Room: r.state.Room, Tag: tag[:], Have: r.theirs, Limit: r.limit})
}

func (s *Session) want(r *sessionRoom, tag chat.RoomTag) SessionEffect {
	r.wished, r.awaits = true, true
	return Send{wire.WantNewest{Tag: tag[:], Limit: wire.MaxNewest}}
}

// Enough has the other side send no more of a room that is Coming.
func (s *Session) Enough(room chat.RoomID) []SessionEffect {
	tag := room.SessionTag(s.nonce)
	return []SessionEffect{Send{wire.Enough{Tag: tag[:]}}}
}

// View says which room is on a screen now: its newest messages are to come first. Zero
// for none. It may be said at any time.
func (s *Session) View(room chat.RoomID) []SessionEffect {
	s.viewed = room
	return s.wish(nil)
}

// wish asks for the newest messages of the room on the screen, if many are missing.
func (s *Session) wish(effects []SessionEffect) []SessionEffect {
	for _, tag := range s.order {
		r := s.rooms[tag]
		if r.state.Room != s.viewed || !r.complete || r.wished || s.sentDone || s.gotDone || r.missing() <= pageful {
			continue
		}
		effects = append(effects, s.want(r, tag))
	}
	return effects
}

// excess returns how many entries this side has that the other one lacks.
func (r *sessionRoom) excess() (n uint64) {
	for _, l := range r.state.Frontier {
		if their := r.theirs[chat.LogID(l.Log)]; their < l.Seq && l.Seq != wire.MaxSeq {
			n += l.Seq - their
		}
	}
	return n
}

// missing returns how many entries the other side has that this one lacks.
func (r *sessionRoom) missing() (n uint64) {
	mine := r.state.Frontier
	for _, id := range r.logs {
		for len(mine) > 0 && bytes.Compare(mine[0].Log, id[:]) < 0 {
			mine = mine[1:]
		}
		have := uint64(0)
		if len(mine) > 0 && bytes.Equal(mine[0].Log, id[:]) {
			have = mine[0].Seq
		}
		if their := r.theirs[id]; their > have && their != wire.MaxSeq {
			n += their - have
		}
	}
	return n
}

// load asks for the next page if none is on its way and the room's turn has come.
func (s *Session) load(effects []SessionEffect) []SessionEffect {
	for !s.loading && s.sending < len(s.order) {
		r := s.rooms[s.order[s.sending]]
		if !r.complete {
			return effects
		}
		if r.enough || !r.lacks() {
			s.sending++
			continue
		}
		s.loading = true
		return append(effects, Load{Room: r.state.Room, Have: r.theirs, First: true})
	}
	if !s.loading && s.compared && s.sending == len(s.order) {
		return s.done(effects)
	}
	return effects
}

// lacks reports whether the other side misses anything that this one has.
func (r *sessionRoom) lacks() bool {
	for _, l := range r.state.Frontier {
		if r.theirs[chat.LogID(l.Log)] < l.Seq {
			return true
		}
	}
	return false
}

// Loaded takes the page that Load asked for. more says that another follows; the
// next Load comes back when this page has been sent, which bounds what is held.
func (s *Session) Loaded(entries []wire.Entry, more bool) []SessionEffect {
	tag := s.order[s.sending]
	var effects []SessionEffect
	if s.rooms[tag].enough {
		entries, more = nil, false
	}
	for len(entries) > 0 {
		batch, size := []wire.RawEntry{}, 0
		for len(entries) > 0 && len(batch) < chat.MaxBatch {
			e := &entries[0]
			size += len(e.Head) + len(e.Payload) + len(e.Sig) + 16
			if len(batch) > 0 && size > chat.MaxFrame-256 {
				break
			}
			batch = append(batch, wire.RawEntry{Head: e.Head, Sig: e.Sig[:], Payload: e.Payload})
			entries = entries[1:]
		}
		s.sent += uint64(len(batch))
		effects = append(effects, Send{wire.Entries{Tag: tag[:], Entries: batch}})
	}
	if more {
		r := s.rooms[tag]
		return append(effects, Load{Room: r.state.Room, Have: r.theirs})
	}
	s.loading = false
	s.sending++
	return s.load(effects)
}

func (s *Session) done(effects []SessionEffect) []SessionEffect {
	if s.sentDone {
		return effects
	}
	s.sentDone = true
	return s.finish(append(effects, Send{wire.Done{Sent: s.sent}}))
}

func (s *Session) finish(effects []SessionEffect) []SessionEffect {
	if s.sentDone && s.gotDone {
		effects = append(effects, Finish{})
	}
	return effects
}

func broken(what string) error {
	return chat.Errorf(chat.CodeInvalid, "A device sent %s while catching up. The session was ended; it is tried again by itself.", what)
}
