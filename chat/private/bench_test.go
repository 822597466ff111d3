package private

import (
	"fmt"
	"testing"

	"earshot/chat"
	"earshot/chat/identity"
	"earshot/chat/membership"
	"earshot/chat/seal"
	"earshot/chat/wire"
)

// crowd is a room of many members with one device each, as ann's engine holds it.
func crowd(b *testing.B, n int) (ann *node, id chat.RoomID) {
	b.Helper()
	w := newWorld(b, 1)
	ann = w.add("ann", "")
	id = ann.found("crowd", membership.HistoryNone)
	var raw [][]byte
	heads := ann.rooms[id].log.Heads(ann.id())
	add := func(key string, c identity.Certificate, body membership.Body) chat.EntryID {
		o, err := SignOperation(keyOf(key), c, id, chat.HLCOf(w.now), heads, body)
		must(b, err)
		raw, heads = append(raw, o.Bytes()), []chat.EntryID{o.ID}
		return o.ID
	}
	for i := range n - 1 {
		name := fmt.Sprint("member ", i)
		c, err := identity.Sign(keyOf("person of "+name), deviceOf(name), noon, "")
		must(b, err)
		e, err := seal.New(seal.Config{Key: keyOf(name), Random: zeros{}}, nil)
		must(b, err)
		e.Handle(w.now, seal.Tick{})
		ann.Handle(w.now, Met{Certificate: c, Prekey: e.Prekey().Bytes()})
		add(name, c, membership.Accept{Invite: add("ann", ann.cert, membership.Invite{Person: c.Person(), Role: membership.RoleMember})})
	}
	ann.takeOps(ann.rooms[id], raw, ann.dev(), true)
	ann.Handle(w.now, Tick{})
	if got := len(ann.rooms[id].recipients); got != n-1 {
		b.Fatalf("%d recipients", got)
	}
	return ann, id
}

type zeros struct{}

func (zeros) Read(b []byte) (int, error) { return len(b), nil }

func BenchmarkSayIn250(b *testing.B) {
	ann, id := crowd(b, 250)
	for b.Loop() {
		if got := ann.Handle(ann.w.now, Say{Room: id, Kind: wire.KindMessage, Plaintext: []byte("hello")}); len(got) == 0 {
			b.Fatal("nothing is said")
		}
	}
}

// What a change costs on every device of a room: everything that follows from it is
// looked at anew.
func BenchmarkRenameARoomOf250(b *testing.B) {
	ann, id := crowd(b, 250)
	i := 0
	for b.Loop() {
		name := fmt.Sprint("name ", i)
		i++
		ann.Handle(ann.w.now, Change{Room: id, Body: membership.Set{Name: &name}, Ref: 1})
	}
}
