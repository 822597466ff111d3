package node

import (
	"bytes"
	"log/slog"
	"testing"
	"time"

	"earshot/chat"
	"earshot/chat/wire"
	"earshot/node/store"
)

func TestWhatTheDiskHasNotConfirmedMustNotBeSaidToBeHeld(t *testing.T) {
	s, err := store.Open(t.Context(), t.TempDir(), store.Options{Key: bytes.Repeat([]byte{7}, store.KeySize)})
	if err != nil {
		t.Fatal(err)
	}
	n := &Node{taken: newTaken(), store: s, log: slog.New(slog.DiscardHandler)}
	var log chat.LogID
	takes := func(seq uint64) {
		n.took(&store.Batch{Records: []store.Record{{Room: lobby, Entry: wire.Entry{Header: wire.Header{Log: log, Seq: seq}}}}}, nil, nil)
	}
	takes(2)
	takes(3)
	if got := n.taken.take(); len(got) != 0 {
		t.Errorf("%v is said to be held before anybody has asked the disk", got)
	}
	if err := n.secure(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := n.taken.take()[lobby][log].seq; got != 3 {
		t.Errorf("entry %d is said to be held", got)
	}
	takes(4)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	select { // from now on the bell rings for what is to be asked for again
	case <-n.taken.rung:
	case <-time.After(30 * time.Second):
		t.Fatal("nobody is told that there is more")
	}
	if err := n.secure(t.Context()); err == nil {
		t.Error("a disk that is not asked confirms")
	}
	if got := n.taken.take(); len(got) != 0 {
		t.Errorf("%v is said to be held, which the disk has not confirmed", got)
	}
	if got := n.taken.rooms[lobby][log].seq; got != 4 || len(n.taken.rung) != 1 {
		t.Errorf("what the disk has not confirmed is forgotten (%d)", got)
	}
}
