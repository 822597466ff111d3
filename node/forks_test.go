package node

import (
	"crypto/ed25519"
	"fmt"
	"slices"
	"testing"

	"earshot/chat"
	"earshot/chat/wire"
	"earshot/node/store"
)

// forkOf returns two entries of a stranger's that contradict each other.
func forkOf(t *testing.T, id chat.RoomID, number byte) (one, other wire.Entry) {
	t.Helper()
	return branchOf(t, id, number, "one"), branchOf(t, id, number, "other")
}

// branchOf returns a second entry of a stranger's log.
func branchOf(t *testing.T, id chat.RoomID, number byte, text string) wire.Entry {
	t.Helper()
	key := ed25519.NewKeyFromSeed(slices.Repeat([]byte{number}, 32))
	log := chat.LogID{number, 1}
	e, err := wire.Sign(key, wire.Header{Log: log, Ref: id.Ref(log), Seq: 2, Prev: chat.EntryID{1}, HLC: 1, Kind: wire.KindMessage}, []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// Identities are free in an open room: who copies keys by the hundred must not fill the
// home, and what is kept is there after a restart.
func TestAFloodOfForksIsBounded(t *testing.T) {
	home := t.TempDir()
	n, err := Start(t.Context(), Config{Home: home, Name: "Ann", Offline: true})
	if err != nil {
		t.Fatal(err)
	}
	lobby := chat.OpenRoom(chat.Lobby)
	known := func(n *Node) (count int) {
		t.Helper()
		if err := n.do(t.Context(), func(c *core) { count = len(c.forks.of(lobby)) }); err != nil {
			t.Fatal(err)
		}
		return count
	}
	for i := range byte(chat.MaxForks + 10) {
		one, other := forkOf(t, lobby, i+1)
		if err := n.do(t.Context(), func(c *core) { c.convict(lobby, &one, &other) }); err != nil {
			t.Fatal(err)
		}
	}
	if got := known(n); got != chat.MaxForks {
		t.Errorf("%d forks are remembered, want %d", got, chat.MaxForks)
	}
	if err := n.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n, err = Start(t.Context(), Config{Home: home, Offline: true}); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = n.Close(t.Context()) }()
	if got := known(n); got != chat.MaxForks {
		t.Errorf("%d forks are remembered after a restart, want %d", got, chat.MaxForks)
	}
	me, err := n.Me(t.Context())
	if err != nil || !slices.ContainsFunc(me.Warnings, func(w chat.Error) bool { return w.Code == chat.CodeCloned }) {
		t.Errorf("warnings %v, %v", me.Warnings, err)
	}
}

// Who holds the keys of a device can make any number of logs of which others hold
// another way; what neighbours are asked for is bounded.
func TestAFloodOfLogsWithUnknownWaysIsBounded(t *testing.T) {
	n := alone(t, t.TempDir())
	lobby := chat.OpenRoom(chat.Lobby)
	if err := n.do(t.Context(), func(c *core) {
		for i := range maxUnclear + 10 {
			one, other := forkOf(t, lobby, 1)
			one.Log[2], one.Log[3] = byte(i), byte(i>>8)
			other.Log = one.Log
			c.apart(lobby, &look{first: one, other: other}, numbered(1))
		}
		if got := len(c.forks.asking); got != maxUnclear {
			t.Errorf("%d are asked for, want %d", got, maxUnclear)
		}
		asked := c.forks.asked(numbered(1))
		if len(asked) != maxUnclear || len(c.forks.asked(numbered(2))) != 0 {
			t.Errorf("of the neighbour %d are asked for", len(asked))
		}
		if c.forks.answered(asked); len(c.forks.asking) != 0 {
			t.Errorf("%d are asked for again", len(c.forks.asking))
		}
	}); err != nil {
		t.Fatal(err)
	}
}

// Evidence that shows where ways part takes the place of what does not, and no more is
// kept than there are ways.
func TestTheEvidenceAboutOneLogIsBounded(t *testing.T) {
	lobby := chat.OpenRoom(chat.Lobby)
	var f fork
	take := func(one, two *wire.Entry) bool {
		pairs, news := f.with(one, two)
		if news {
			f.pairs = pairs
		}
		return news
	}
	one, other := forkOf(t, lobby, 1)
	later, err := wire.Sign(ed25519.NewKeyFromSeed(slices.Repeat([]byte{1}, 32)), wire.Header{
		Log: one.Log, Ref: one.Ref, Seq: 3, Prev: other.ID, HLC: 2, Kind: wire.KindMessage,
	}, []byte("later"))
	if err != nil {
		t.Fatal(err)
	}
	ways := []wire.Entry{one, other}
	for i := range 2 * chat.MaxBranches {
		ways = append(ways, branchOf(t, lobby, 1, fmt.Sprint("way ", i)))
	}
	if !take(&one, &later) || take(&one, &later) {
		t.Error("evidence counts twice, or not at all")
	}
	if !take(&one, &other) || len(f.pairs) != 1 || take(&other, &one) || take(&one, &later) {
		t.Errorf("%d pairs are kept", len(f.pairs))
	}
	for i := range ways {
		take(&one, &ways[i])
	}
	if len(f.pairs) != chat.MaxBranches {
		t.Errorf("%d pairs are kept, want %d", len(f.pairs), chat.MaxBranches)
	}
}

// What is read of the history about an entry of a log that has several ways.
func TestWhatIsHeldInOneWayDoesNotContradictAnother(t *testing.T) {
	n := alone(t, t.TempDir())
	id := chat.OpenRoom(chat.Lobby)
	key, log := ed25519.NewKeyFromSeed(slices.Repeat([]byte{1}, 32)), chat.LogID{1, 1}
	next := func(last wire.Entry, text string) wire.Entry {
		h := wire.Header{Log: log, Ref: id.Ref(log), Seq: last.Seq + 1, Prev: last.ID, HLC: last.HLC + 1, Kind: wire.KindMessage}
		if last.Seq == 0 {
			h.Kind = wire.KindOpen
		}
		e, err := wire.Sign(key, h, []byte(text))
		if err != nil {
			t.Fatal(err)
		}
		return e
	}
	open := next(wire.Entry{}, "open")
	a2, b2 := next(open, "a"), next(open, "b")
	a3, b3 := next(a2, "a"), next(b2, "b")
	a4 := next(a3, "a")
	a, b := log.Branch(a2.ID), log.Branch(b2.ID)
	on := func(way chat.LogID, list ...wire.Entry) (out []store.Record) {
		for _, e := range list {
			e.Log = way
			out = append(out, store.Record{Room: id, Entry: e, Sort: e.HLC})
		}
		return out
	}
	stored := make(chan error, 3)
	for _, batch := range []store.Batch{
		{Records: on(log, open, a2, a3, a4)}, {Splits: []store.Split{{Room: id, Log: log, Seq: 1, Branch: a}}}, {Records: on(b, b2, b3)},
	} {
		n.store.Commit(batch, func(_ []chat.Cursor, err error) { stored <- err })
	}
	for range cap(stored) {
		if err := <-stored; err != nil {
			t.Fatal(err)
		}
	}
	c3 := next(a2, "c")
	for name, c := range map[string]struct {
		entry              wire.Entry
		held, parts, apart bool
	}{
		"of the first way":         {a3, true, false, false},
		"of the second":            {b3, true, false, false},
		"next of the second":       {next(b3, "b"), false, false, false},
		"of a third from there":    {next(open, "c"), false, false, false},
		"of one that parts inside": {c3, false, true, false},
		"of one from who knows":    {next(c3, "c"), false, false, true},
		"of one that is longer":    {next(next(next(c3, "c"), "c"), "c"), false, false, false},
	} {
		l := look{ways: []chat.LogID{log, a, b}}
		if err := n.lookAt(t.Context(), id, &c.entry, &l); err != nil {
			t.Fatal(err)
		}
		if l.held != c.held || l.parts != c.parts || l.apart != c.apart {
			t.Errorf("%s: held %t, parts %t, apart %t", name, l.held, l.parts, l.apart)
		}
		if l.parts && (l.in != a || l.last.ID != a2.ID || l.first.ID != a3.ID) {
			t.Errorf("%s: it parts in %s behind %d", name, l.in.Short(), l.last.Seq)
		}
		if (l.parts || l.apart) && (l.first.Log != log || !wire.Contradict(&l.first, &l.other) && !wire.Contradict(&l.other, &l.first)) {
			t.Errorf("%s: no evidence", name)
		}
	}
}
