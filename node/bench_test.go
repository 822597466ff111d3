package node

import (
	"context"
	"testing"

	"earshot/chat"
)

// BenchmarkSend is what a person waits for before what they said is stored and on its
// way: in an open room, and in a sealed one, which aims at 1.3 times that.
func BenchmarkSend(b *testing.B) {
	for _, kind := range []chat.RoomKind{chat.RoomOpen, chat.RoomPrivate} {
		b.Run(string(kind), func(b *testing.B) {
			n, err := Start(b.Context(), Config{Home: b.TempDir(), Name: "Ann", Offline: true})
			if err != nil {
				b.Fatal(err)
			}
			b.Cleanup(func() { _ = n.Close(context.Background()) })
			id := lobby
			if kind.Sealed() {
				r, err := n.CreateRoom(b.Context(), "garden", "")
				if err != nil {
					b.Fatal(err)
				}
				id = r.RoomID
			}
			for b.Loop() {
				if _, err := n.Send(b.Context(), id, chat.Draft{Text: "The quick brown fox jumps over the lazy dog."}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
