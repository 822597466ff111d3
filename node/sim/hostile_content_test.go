package sim

import (
	"net/netip"
	"slices"
	"testing"

	ma "github.com/multiformats/go-multiaddr"

	"earshot/chat"
	"earshot/chat/content"
	proto "earshot/chat/wire"
)

// What those may do to messages who pass them on.

// hands gives Ann, or whoever x goes to, entries in a sync session.
func (x *stranger) hands(list ...proto.RawEntry) {
	x.catchUp(func(tag []byte) []byte {
		return frames(proto.Frontier{Tag: tag}, proto.Entries{Tag: tag, Entries: list}, proto.Done{Sent: uint64(len(list))})
	})
}

// goesTo has a stranger turn to somebody else than Ann.
func (x *stranger) goesTo(d *desk) {
	x.t.Helper()
	me, err := d.Me(d.ctx)
	if err != nil {
		x.t.Fatal(err)
	}
	x.victim, x.addr = me.Device, ma.StringCast(me.Addresses[0])
	if err := x.dial(); err != nil {
		x.t.Fatal(err)
	}
}

func strippedOf(e proto.Entry) proto.RawEntry {
	return proto.RawEntry{Head: e.Head, Sig: e.Sig[:]}
}

// Who passes on entries and leaves out what they say makes nothing vanish: it is shown
// as missing, asked for, and comes from whoever has it.
func TestALyingRelayMustNotMakeTextVanish(t *testing.T) {
	s := besiege(t)
	s.Net.Cut([]netip.Addr{netip.MustParseAddr("10.9.0.2")}, []netip.Addr{netip.MustParseAddr("10.9.0.3")})
	s.ann.sees("Ben", chat.Gone)
	carol := newAuthor(lobby, newKey(), newKey())
	open, hello := carol.open(), carol.says("hello")
	edit := carol.next(proto.KindEdit, must(content.ComposeEdit(hello.ID, "hello, all", nil)))
	gone := carol.says("gone")
	removal := carol.next(proto.KindDelete, content.ComposeDelete([]chat.EntryID{gone.ID}))
	last := carol.says("last")
	liar, honest := s.stranger(nil), s.stranger(nil)
	honest.goesTo(s.ben)
	liar.hands(rawEntry(open), strippedOf(hello), strippedOf(edit), strippedOf(gone), rawEntry(removal), rawEntry(last))
	honest.hands(rawEntry(open), rawEntry(hello), rawEntry(edit), rawEntry(gone), rawEntry(removal), rawEntry(last))
	s.ann.until("hears what comes after", func() bool { return slices.Contains(s.ann.texts(lobby), "last") })
	s.ben.until("hears it all", func() bool { return slices.Contains(s.ben.texts(lobby), "hello, all") })
	missing := func() int {
		list, err := s.ann.Missing(s.ann.ctx, lobby)
		s.ann.must(err)
		n := 0
		for _, m := range list {
			n += m.Count
		}
		return n
	}
	// But not what Carol has removed. It is weighed beside what is heard.
	s.ann.until("misses one", func() bool { return missing() == 1 })
	liar.vanish()
	honest.vanish()
	s.Net.Heal()
	s.ann.until("has got what was left out", func() bool { return slices.Contains(s.ann.texts(lobby), "hello, all") && missing() == 0 })
	s.ann.agrees(s.ben, lobby)
	for _, d := range []*desk{s.ann, s.ben} {
		if m := d.message(gone.ID); m.Removed == nil || m.Text != "" {
			t.Errorf("%s shows %+v", d.Name(), m)
		}
	}
	s.withstood()
}

// A payload that nobody may remove is not done without, and one that is not the right
// one is not taken.
func TestWhatNobodyRemovesMustNotBeLeftOut(t *testing.T) {
	s := besiege(t)
	for name, list := range map[string]func(*author) []proto.RawEntry{
		"a removal without what it removes": func(a *author) []proto.RawEntry {
			open, hello := a.open(), a.says("hello")
			return []proto.RawEntry{rawEntry(open), rawEntry(hello), strippedOf(a.next(proto.KindDelete, content.ComposeDelete([]chat.EntryID{hello.ID})))}
		},
		"a name without the name": func(a *author) []proto.RawEntry {
			return []proto.RawEntry{rawEntry(a.open()), strippedOf(a.next(proto.KindProfile, proto.Marshal(proto.Profile{Name: "Eve"})))}
		},
		"another text": func(a *author) []proto.RawEntry {
			open, hello := a.open(), a.says("hello")
			hello.Payload = proto.Marshal(proto.Message{Text: "hullo"})
			return []proto.RawEntry{rawEntry(open), rawEntry(hello)}
		},
	} {
		s.each(name, func() {
			x := s.stranger(nil)
			x.again(func() { x.hands(list(newAuthor(lobby, newKey(), newKey()))...) })
			x.cutOff()
			x.vanish()
			s.withstood()
		})
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}
