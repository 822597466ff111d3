package catchup

import (
	"bytes"
	"encoding/binary"
	"flag"
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"earshot/chat"
	"earshot/chat/wire"
)

var update = flag.Bool("update", false, "write testdata anew; the protocol changes with it")

var (
	lobby = chat.OpenRoom(chat.Lobby)
	other = chat.OpenRoom("#other")
	nonce = bytes.Repeat([]byte{0x11}, wire.NonceSize)
)

func logID(b byte) chat.LogID { return chat.LogID{b} }

// holdings is what a side holds: for each room and log, numbers 1 to n.
type holdings map[chat.RoomID]map[chat.LogID]uint64

func (h holdings) states() []RoomState {
	var out []RoomState
	for _, id := range []chat.RoomID{lobby, other} {
		logs, in := h[id]
		if !in {
			continue
		}
		s := RoomState{Room: id}
		for b := range 256 {
			if n := logs[logID(byte(b))]; n > 0 {
				l := logID(byte(b))
				s.Frontier = append(s.Frontier, wire.LogHead{Log: l[:], Seq: n, Last: last(n)})
			}
		}
		s.Root = rootOf(s.Frontier)
		out = append(out, s)
	}
	return out
}

// last stands for the beginning of the id of an entry, by its number.
func last(seq uint64) []byte { return binary.BigEndian.AppendUint64(nil, seq) }

func rootOf(f []wire.LogHead) (root [32]byte) {
	for _, l := range f {
		copy(root[l.Log[0]&31:], []byte{byte(l.Seq)})
	}
	return root
}

// entry stands for an entry: its header says which log and number it is.
func entry(l chat.LogID, seq uint64) wire.Entry {
	return wire.Entry{Head: append(l[:1:1], byte(seq>>8), byte(seq)), Payload: bytes.Repeat([]byte{'x'}, 200)}
}

// side is a session with the holdings it reads from and adds to.
type side struct {
	t    *testing.T
	name string
	*Session
	holds    holdings
	page     int // entries in a page of Load
	at       int
	out      []wire.Frame
	finished int
	taken    int

	screen chat.RoomID // the room on it
	shown  int         // entries that came ahead
	early  bool        // and before any that came in order
	bases  map[chat.RoomID]*Base

	declines map[chat.RoomID]bool // what another session brings
	coming   []chat.RoomID

	lazy  bool  // reads a page only when the last is sent
	reads *Load // that is to be read
}

func (s *side) read() {
	if l := s.reads; l != nil {
		s.reads = nil
		s.load(*l)
	}
}

func (s *side) states() []RoomState {
	out := s.holds.states()
	for i := range out {
		out[i].Base = s.bases[out[i].Room]
	}
	return out
}

// gives answers with the last entry of each log that the other side lacks.
func (s *side) gives(g Give) {
	f := wire.Newest{Tag: g.Tag}
	for b := range 256 {
		id := logID(byte(b))
		if n := s.holds[g.Room][id]; n > g.Have[id] {
			e := entry(id, n)
			f.Entries = append(f.Entries, wire.RawEntry{Head: e.Head, Sig: e.Sig[:], Payload: e.Payload})
		}
	}
	s.out = append(s.out, f)
}

func (s *side) do(effects []SessionEffect) {
	for _, ef := range effects {
		switch ef := ef.(type) {
		case Send:
			s.out = append(s.out, ef.Frame)
		case Load:
			if s.reads = &ef; !s.lazy {
				s.read()
			}
		case Give:
			s.gives(ef)
		case Coming:
			s.coming = append(s.coming, ef.Room)
			if s.declines[ef.Room] {
				s.do(s.Enough(ef.Room))
			}
		case Show:
			s.shown += len(ef.Entries)
			s.early = s.taken == 0
		case Remember:
			if s.bases == nil {
				s.bases = map[chat.RoomID]*Base{}
			}
			s.bases[ef.Room] = ef.Base
		case Take:
			for _, e := range ef.Entries {
				l, seq := logID(e.Head[0]), uint64(e.Head[1])<<8|uint64(e.Head[2])
				if have := s.holds[ef.Room][l]; seq != have+1 {
					s.t.Errorf("%s gets %x/%d but holds up to %d", s.name, l[:1], seq, have)
				}
				s.holds[ef.Room][l] = seq
				s.taken++
			}
		case Finish:
			s.finished++
		}
	}
}

func (s *side) load(l Load) {
	if l.First {
		s.at = 0
	}
	var all []wire.Entry
	for b := range 256 {
		id := logID(byte(b))
		for seq := l.Have[id] + 1; seq <= s.holds[l.Room][id]; seq++ {
			all = append(all, entry(id, seq))
		}
	}
	// What arrives during the session is not part of the page's counting.
	from := min(s.at, len(all))
	to := min(from+s.page, len(all))
	s.at = to
	s.do(s.Loaded(all[from:to], to < len(all)))
}

// run lets two sides talk until both are silent, and returns what was said.
func run(t *testing.T, a, b holdings, page int) (asker, answerer *side, transcript []string) {
	t.Helper()
	asker = &side{t: t, name: "asker", holds: a, page: page}
	answerer = &side{t: t, name: "answerer", holds: b, page: page}
	return asker, answerer, talk(t, asker, answerer)
}

// talk lets two sides that are set up hold a session.
func talk(t *testing.T, asker, answerer *side) (transcript []string) {
	t.Helper()
	var first []SessionEffect
	asker.Session, first = Ask(nonce, asker.states())
	answerer.Session = Answer(answerer.states())
	asker.do(append(first, asker.View(asker.screen)...))
	answerer.do(answerer.View(answerer.screen))
	for len(asker.out)+len(answerer.out) > 0 || asker.reads != nil || answerer.reads != nil {
		for _, pair := range [][2]*side{{asker, answerer}, {answerer, asker}} {
			from, to := pair[0], pair[1]
			if len(from.out) == 0 {
				from.read()
			}
			if len(from.out) == 0 {
				continue
			}
			f := from.out[0]
			from.out = from.out[1:]
			b := wire.EncodeFrame(f)
			if len(b) > chat.MaxFrame {
				t.Fatalf("a frame of %d bytes", len(b))
			}
			transcript = append(transcript, fmt.Sprintf("%-8s -> %s", from.name, describe(f, len(b))))
			decoded, err := wire.DecodeFrame(b)
			if err != nil {
				t.Fatal(err)
			}
			effects, err := to.Handle(decoded)
			if err != nil {
				t.Fatalf("%s: %v", to.name, err)
			}
			to.do(effects)
		}
	}
	return transcript
}

func describe(f wire.Frame, size int) string {
	switch f := f.(type) {
	case wire.Compare:
		return fmt.Sprintf("Compare   %d rooms, %d bytes", len(f.Rooms), size)
	case wire.Frontier:
		return fmt.Sprintf("Frontier  %d logs, %d bytes", len(f.Logs), size)
	case wire.Entries:
		return fmt.Sprintf("Entries   %d entries, %d bytes", len(f.Entries), size)
	case wire.WantNewest:
		return fmt.Sprintf("WantNewest %d messages, %d bytes", f.Limit, size)
	case wire.Newest:
		return fmt.Sprintf("Newest    %d entries, %d bytes", len(f.Entries), size)
	case wire.Done:
		return fmt.Sprintf("Done      %d sent, %d bytes", f.Sent, size)
	}
	return fmt.Sprintf("%T", f)
}

func TestASessionLeavesBothWithEverything(t *testing.T) {
	for name, c := range map[string]struct{ a, b holdings }{
		"asker lacks":    {holdings{lobby: {}}, holdings{lobby: {logID(1): 5, logID(2): 7}}},
		"answerer lacks": {holdings{lobby: {logID(1): 5}}, holdings{lobby: {}}},
		"both lack":      {holdings{lobby: {logID(1): 5, logID(2): 1}}, holdings{lobby: {logID(1): 2, logID(2): 9, logID(3): 1}}},
		"two rooms":      {holdings{lobby: {logID(1): 5}, other: {logID(3): 3}}, holdings{lobby: {logID(2): 2}, other: {logID(4): 600}}},
		"one is equal":   {holdings{lobby: {logID(1): 5}, other: {logID(3): 3}}, holdings{lobby: {logID(1): 5}, other: {logID(4): 2}}},
	} {
		for _, page := range []int{1, 7, 1000} {
			a, b := clone(c.a), clone(c.b)
			asker, answerer, _ := run(t, a, b, page)
			if !reflect.DeepEqual(a, b) {
				t.Errorf("%s: %v and %v", name, a, b)
			}
			for _, s := range []*side{asker, answerer} {
				if s.finished != 1 {
					t.Errorf("%s: the %s finished %d times", name, s.name, s.finished)
				}
			}
			if asker.taken != answerer.Sent() || answerer.taken != asker.Sent() {
				t.Errorf("%s: counts", name)
			}
		}
	}
}

func clone(h holdings) holdings {
	out := holdings{}
	for id, logs := range h {
		out[id] = map[chat.LogID]uint64{}
		for l, n := range logs {
			out[id][l] = n
		}
	}
	return out
}

func TestEqualHoldingsCostOneComparison(t *testing.T) {
	a := holdings{lobby: {logID(1): 5}, other: {logID(2): 3}}
	_, _, transcript := run(t, a, clone(a), 100)
	if len(transcript) != 4 { // two Compares, two Dones
		t.Error(strings.Join(transcript, "\n"))
	}
}

func TestARoomOnlyOneIsInIsNotMentioned(t *testing.T) {
	a := holdings{lobby: {logID(1): 5}}
	b := holdings{other: {logID(2): 3}}
	_, _, transcript := run(t, a, b, 100)
	if len(transcript) != 4 || a[other] != nil || b[lobby] != nil {
		t.Error(strings.Join(transcript, "\n"), a, b)
	}
}

func TestALogThatIsNotWantedIsNotSent(t *testing.T) {
	a := holdings{lobby: {logID(1): 5}}
	asker, effects := Ask(nonce, a.states())
	s := &side{t: t, Session: asker, holds: a, page: 100}
	s.do(effects)
	tag := lobby.SessionTag(nonce)
	frozen := logID(1)
	for _, f := range []wire.Frame{
		wire.Compare{Nonce: nonce, Rooms: []wire.RoomRoot{{Tag: tag[:], Root: make([]byte, 32)}}},
		wire.Frontier{Tag: tag[:], Logs: []wire.LogHead{{Log: frozen[:], Seq: wire.MaxSeq, Last: []byte{}}}},
	} {
		effects, err := asker.Handle(f)
		if err != nil {
			t.Fatal(err)
		}
		s.do(effects)
	}
	if asker.Sent() != 0 || !slices.ContainsFunc(s.out, func(f wire.Frame) bool { _, ok := f.(wire.Done); return ok }) {
		t.Errorf("%d sent; %v", asker.Sent(), s.out)
	}
}

func TestTheTranscriptOfASession(t *testing.T) {
	a := holdings{lobby: {logID(1): 3, logID(2): 300}, other: {logID(3): 1}}
	b := holdings{lobby: {logID(1): 5}, other: {logID(3): 1}}
	_, _, transcript := run(t, a, b, 512)
	got := strings.Join(transcript, "\n") + "\n"
	const path = "testdata/transcript.txt"
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("got\n%swant\n%s", got, want)
	}
	spec, err := os.ReadFile("../PROTOCOL.md")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(spec), string(want)) {
		t.Error("PROTOCOL.md shows another transcript")
	}
}

// script plays frames at a session that has been asked, and returns the first error.
func script(t *testing.T, s *Session, frames ...wire.Frame) error {
	t.Helper()
	for _, f := range frames {
		if _, err := s.Handle(f); err != nil {
			if chat.CodeOf(err) != chat.CodeInvalid {
				t.Errorf("code %q", chat.CodeOf(err))
			}
			return err
		}
	}
	return nil
}

func TestWhoDoesNotKeepToTheProtocolIsCutOff(t *testing.T) {
	tag, otherTag := lobby.SessionTag(nonce), other.SessionTag(nonce)
	state := holdings{lobby: {logID(1): 1}}.states()
	compare := wire.Compare{Nonce: nonce, Rooms: []wire.RoomRoot{{Tag: tag[:], Root: make([]byte, 32)}}}
	l := func(b byte) []byte { id := logID(b); return id[:] }
	whole := wire.Frontier{Tag: tag[:], Logs: []wire.LogHead{{Log: l(2), Seq: 1, Last: last(1)}}}
	part := wire.Frontier{Tag: tag[:], Logs: []wire.LogHead{{Log: l(2), Seq: 1, Last: last(1)}}, More: true}
	entries := wire.Entries{Tag: tag[:], Entries: []wire.RawEntry{{Head: []byte{2, 0, 1}}}}
	// endless has more lines than any honest node.
	endless := []wire.Frame{compare}
	for i := range maxLines/wire.MaxLogs + 1 {
		logs := make([]wire.LogHead, wire.MaxLogs)
		for j := range logs {
			id := chat.LogID{byte(i + 1), byte(j >> 8), byte(j)}
			logs[j] = wire.LogHead{Log: id[:], Seq: 1, Last: last(1)}
		}
		endless = append(endless, wire.Frontier{Tag: tag[:], Logs: logs, More: true})
	}
	for name, frames := range map[string][]wire.Frame{
		"entries before anything":         {entries},
		"entries before the frontier":     {compare, entries},
		"entries before its end":          {compare, part, entries},
		"entries of a room not named":     {compare, whole, wire.Entries{Tag: otherTag[:]}},
		"entries after the end":           {compare, whole, wire.Done{}, entries},
		"a second comparison":             {compare, compare},
		"a frontier before anything":      {whole},
		"a frontier of a room not named":  {compare, wire.Frontier{Tag: otherTag[:]}},
		"a frontier twice":                {compare, whole, whole},
		"a frontier out of order":         {compare, part, part},
		"a frontier of nothing, and more": {compare, wire.Frontier{Tag: tag[:], More: true}},
		"a frontier without end":          endless,
		"an end before anything":          {wire.Done{}},
		"an end before the frontier":      {compare, wire.Done{}},
		"a second end":                    {compare, whole, wire.Done{}, wire.Done{}},
		"a frame of the peer stream":      {wire.Have{}},
	} {
		asker, _ := Ask(nonce, state)
		for who, s := range map[string]*Session{"asker": asker, "answerer": Answer(state)} {
			if script(t, s, frames...) == nil {
				t.Errorf("%s: the %s goes on", name, who)
			}
		}
	}
	for name, f := range map[string]wire.Frame{
		"another nonce":    wire.Compare{Nonce: bytes.Repeat([]byte{9}, 16)},
		"a room not named": wire.Compare{Nonce: nonce, Rooms: []wire.RoomRoot{{Tag: otherTag[:], Root: make([]byte, 32)}}},
		"a room twice":     wire.Compare{Nonce: nonce, Rooms: []wire.RoomRoot{compare.Rooms[0], compare.Rooms[0]}},
	} {
		if asker, _ := Ask(nonce, state); script(t, asker, f) == nil {
			t.Errorf("%s: the asker goes on", name)
		}
	}
	if asker, _ := Ask(nonce, state); script(t, asker, compare, wire.Unknown{Type: 99}, whole, entries, wire.Done{}) != nil {
		t.Error("a frame of the future is not skipped")
	}
}
