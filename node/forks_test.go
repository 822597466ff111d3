package node

import (
	"crypto/ed25519"
	"slices"
	"testing"

	"earshot/chat"
	"earshot/chat/wire"
)

// forkOf returns two entries of a stranger's that contradict each other.
func forkOf(t *testing.T, id chat.RoomID, number byte) (one, other wire.Entry) {
	t.Helper()
	key := ed25519.NewKeyFromSeed(slices.Repeat([]byte{number}, 32))
	log := chat.LogID{number, 1}
	sign := func(text string) wire.Entry {
		e, err := wire.Sign(key, wire.Header{Log: log, Ref: id.Ref(log), Seq: 2, Prev: chat.EntryID{1}, HLC: 1, Kind: wire.KindMessage}, []byte(text))
		if err != nil {
			t.Fatal(err)
		}
		return e
	}
	return sign("one"), sign("other")
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
		if err := n.do(t.Context(), func(c *core) { c.convict(lobby, &one, &other, false) }); err != nil {
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
