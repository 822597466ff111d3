package sim

import (
	"slices"
	"testing"

	"earshot/chat"
	proto "earshot/chat/wire"
)

// What strangers may do to what is missing, and to what comes ahead of its turn.

func (d *desk) misses(room chat.RoomID) (n int) {
	d.t.Helper()
	list, err := d.Missing(d.ctx, room)
	d.must(err)
	for _, m := range list {
		n += m.Count
	}
	return n
}

// gives gives Ann, who looks at the lobby, messages ahead of their turn, and nothing
// else.
func (x *stranger) gives(list ...proto.Entry) {
	newest := proto.Newest{}
	for _, e := range list {
		newest.Entries = append(newest.Entries, rawEntry(e))
	}
	x.catchUp(func(tag []byte) []byte {
		newest.Tag = tag
		return frames(proto.Frontier{Tag: tag}, newest, proto.Done{})
	})
}

func TestClaimsWithoutEntriesMustNotBeShownAsMissing(t *testing.T) {
	s := besiege(t)
	s.ann.must(s.ann.View(s.ann.ctx, lobby))
	x := s.stranger(nil)
	for range 3 {
		x.catchUp(func(tag []byte) []byte {
			var logs []proto.LogHead
			for i := range 200 {
				logs = append(logs, proto.LogHead{Log: append([]byte{byte(i + 1)}, garbage(15)...), Seq: 1 << 40, Last: garbage(8)})
			}
			return frames(proto.Frontier{Tag: tag, Logs: logs}, proto.Newest{Tag: tag}, proto.Done{Sent: 1 << 40})
		})
	}
	if n := s.ann.misses(lobby); n != 0 {
		t.Errorf("%d are missing", n)
	}
	x.vanish()
	s.withstood()
}

func TestWhatComesAheadMustBeSignedAndCertified(t *testing.T) {
	s := besiege(t)
	s.ann.must(s.ann.View(s.ann.ctx, lobby))
	x := s.stranger(nil)
	carol := newAuthor(lobby, newKey(), newKey())
	open, hello := carol.open(), carol.says("hello")
	// In Carol's log, and without her: by the stranger, under her certificate or none.
	forged := newAuthor(lobby, x.key, x.root)
	forged.log = carol.log
	fopen, lies := forged.open(), forged.says("lies")
	uncertified := newAuthor(lobby, newKey(), newKey())
	uopen := uncertified.open()
	more := uncertified.says("lies, too")
	x.gives(lies, open, lies, fopen, lies, more)
	x.gives(uopen)
	if got := s.ann.texts(lobby); slices.Contains(got, "lies") || slices.Contains(got, "lies, too") {
		t.Errorf("Ann reads %q", got)
	}
	if n := s.ann.misses(lobby); n != 0 {
		t.Errorf("%d are missing", n)
	}
	// What Carol has signed is shown, whoever brings it, and what is missing of hers.
	carol.says("between")
	x.gives(open, hello, carol.says("last"))
	s.ann.until("reads what Carol said", func() bool {
		got := s.ann.texts(lobby)
		return slices.Contains(got, "hello") && slices.Contains(got, "last")
	})
	if n := s.ann.misses(lobby); n != 2 { // that opens her log, and that between
		t.Errorf("%d are missing", n)
	}
	if s.ann.Refused() != x.refused {
		t.Errorf("%d were refused", s.ann.Refused()-x.refused)
	}
	s.ann.must(s.ann.View(s.ann.ctx, chat.RoomID{}))
	for name, attack := range map[string]func(){
		"nobody looks": func() { x.gives(open, hello) },
		"a bad signature": func() {
			s.ann.must(s.ann.View(s.ann.ctx, lobby))
			broken := hello
			broken.Sig[0] ^= 1
			x.gives(open, broken)
		},
	} {
		s.each(name, func() {
			x := s.stranger(nil)
			defer x.vanish()
			before := s.ann.Refused()
			attack()
			s.ann.until("it was refused", func() bool { return s.ann.Refused() > before })
			s.ann.must(s.ann.View(s.ann.ctx, chat.RoomID{}))
		})
	}
	x.vanish()
	s.withstood()
}
