package sim

import (
	"fmt"
	"sync"
	"testing"

	"earshot/chat"
)

// BenchmarkTalk is the time from what one person says to its being shown to another,
// both stores included: in the open, and in a direct chat, which aims at 1.3 times
// that.
func BenchmarkTalk(b *testing.B) {
	for _, kind := range []chat.RoomKind{chat.RoomOpen, chat.RoomDirect} {
		b.Run(string(kind), func(b *testing.B) {
			_, enter := newOffice(b)
			ann, ben := enter("Ann"), enter("Ben")
			befriend(ann, ben)
			room := lobby
			if kind.Sealed() {
				room = ann.chatWith(ben.id()).RoomID
			}
			ann.tells(room, "first")
			ben.hears("first")
			i := 0
			for b.Loop() {
				i++
				text := fmt.Sprint("message ", i)
				ann.tells(room, text)
				ben.hears(text)
			}
		})
	}
}

// BenchmarkBurst is the time per message when 64 actions at a time say something and
// another has to be shown it all.
func BenchmarkBurst(b *testing.B) {
	for _, kind := range []chat.RoomKind{chat.RoomOpen, chat.RoomDirect} {
		b.Run(string(kind), func(b *testing.B) {
			_, enter := newOffice(b)
			ann, ben := enter("Ann"), enter("Ben")
			befriend(ann, ben)
			room := lobby
			if kind.Sealed() {
				room = ann.chatWith(ben.id()).RoomID
			}
			ann.tells(room, "first")
			ben.hears("first")
			b.ResetTimer()
			var wg sync.WaitGroup
			for lane := range 64 {
				wg.Go(func() {
					for i := lane; i < b.N; i += 64 {
						if _, err := ann.Send(ann.ctx, room, chat.Draft{Text: fmt.Sprint("message ", i)}); err != nil {
							b.Error(err)
						}
					}
				})
			}
			for range b.N {
				ben.await("a message", func(e chat.Event) bool { _, ok := e.(chat.MessageEvent); return ok })
			}
			wg.Wait()
		})
	}
}

// BenchmarkCatchUp is the time per message in which somebody who was away gets what
// was said, both stores included.
func BenchmarkCatchUp(b *testing.B) {
	for _, kind := range []chat.RoomKind{chat.RoomOpen, chat.RoomDirect} {
		b.Run(string(kind), func(b *testing.B) {
			o, enter := newOffice(b)
			ann, ben := enter("Ann"), enter("Ben")
			befriend(ann, ben)
			room := lobby
			if kind.Sealed() {
				room = ann.chatWith(ben.id()).RoomID
			}
			ann.tells(room, "first")
			ben.reads(room, "first")
			o.leave(ben)
			ann.ignores()
			ann.talks(room, 0, b.N)
			ben = o.enterAlone(enter, "Ben")
			ben.ignores()
			b.ResetTimer()
			o.Net.Heal()
			b.ReportMetric(float64(ben.catchesUp(room, b.N+1))/1e6, "p99-ms/request")
		})
	}
}

// ignores has nobody look at what a node tells from now on.
func (d *desk) ignores() {
	over := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			select {
			case <-d.events:
			case <-over:
				return
			}
		}
	})
	d.t.Cleanup(func() { close(over); wg.Wait() })
}
