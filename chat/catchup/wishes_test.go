package catchup

import (
	"testing"
	"time"

	"earshot/chat"
)

// lackers returns the wishes of a node that lacks payloads of the lobby.
func lackers(asked bool, ids ...chat.EntryID) *Wishes {
	w := &Wishes{}
	w.Put(lobby, len(ids) > 0, asked, SumWishes(ids))
	return w
}

func TestWhoLacksOtherPayloadsIsToldApart(t *testing.T) {
	x, y := chat.EntryID{1}, chat.EntryID{2}
	root := [32]byte{9}
	said := func(w *Wishes) [32]byte { return w.Root(noon, lobby, root) }
	switch {
	case said(lackers(true)) != root:
		t.Error("who lacks nothing says another root than its own")
	case said(lackers(true, x)) == root:
		t.Error("who wants a payload can't be told from who has it")
	case said(lackers(true, x)) == said(lackers(true, y)):
		t.Error("two that could each give what the other lacks seem to hold the same")
	case said(lackers(true, x, y)) != said(lackers(true, y, x)):
		t.Error("two that lack the same ask each other for it")
	case said(lackers(false, x)) != root:
		t.Error("what was given up makes a difference")
	}
}

// Sessions that are opened one after the other count as one.
func TestWhoOpensManySessionsMustNotHavePayloadsGivenUp(t *testing.T) {
	w := lackers(true, chat.EntryID{1})
	counted := 0
	for i := range 100 {
		if w.Try(noon.Add(time.Duration(i)*time.Second), lobby) {
			counted++
		}
	}
	if counted != 4 { // at 0, 30, 60 and 90 s
		t.Errorf("asking in 100 s counted %d times", counted)
	}
	if lackers(true).Try(noon, lobby) {
		t.Error("asking for nothing counts")
	}
}

func TestWhatWasGivenUpIsAskedOfWhoeverComes(t *testing.T) {
	w := lackers(false, chat.EntryID{1})
	if w.Open(noon, lobby) || w.Seeks(noon, lobby) {
		t.Fatal("what was given up is asked for")
	}
	w.Met(noon, []chat.RoomID{lobby, secret})
	if !w.Seeks(noon, lobby) || w.Root(noon, lobby, [32]byte{}) == [32]byte{} {
		t.Error("who comes is not asked")
	}
	if w.Open(noon, secret) {
		t.Error("who comes is asked for what nobody lacks")
	}
	later := noon.Add(stirFor)
	if w.Open(later, lobby) {
		t.Error("who came is asked for ever")
	}
}

// A neighbour that stayed has them only now, and nothing else has changed.
func TestWhoIsGivenPayloadsIsAskedByThoseWhoGaveThemUp(t *testing.T) {
	given, other := lackers(true, chat.EntryID{1}), lackers(false, chat.EntryID{1})
	given.Filled(noon, lobby)
	given.Put(lobby, false, false, SumWishes(nil))
	root := [32]byte{9}
	if given.Root(noon, lobby, root) == other.Root(noon, lobby, root) {
		t.Error("the other can't see that it would get them here")
	}
	if given.Seeks(noon, lobby) {
		t.Error("who lacks nothing asks")
	}
	if later := noon.Add(stirFor); given.Root(later, lobby, root) != root {
		t.Error("it differs for ever")
	}
}

// Neighbours were told what was said while it lacked them, and the disk may take what came
// only after they would be told of it.
func TestWhoIsGivenPayloadsSaysSomethingElseThanBefore(t *testing.T) {
	root := [32]byte{9}
	w := lackers(true, chat.EntryID{1})
	before := w.Root(noon, lobby, root)
	w.Put(lobby, true, false, SumWishes([]chat.EntryID{{1}}))
	w.Filled(noon, lobby)
	if w.Root(noon, lobby, root) == before {
		t.Error("who was told before is not told that they came")
	}
}
