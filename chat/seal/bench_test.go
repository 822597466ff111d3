package seal

import (
	"fmt"
	"testing"
	"time"

	"earshot/chat"
	"earshot/chat/wire"
)

const benchText = 200 // bytes, as in the bench of the whole node

// crowd returns a device and n others that it knows in a room, and that have
// acknowledged its pair roots.
func crowd(b *testing.B, n int) (alice *member, others []*member) {
	b.Helper()
	alice = newMember(b, "alice")
	for i := range n {
		others = append(others, newMember(b, fmt.Sprint("member ", i)))
	}
	alice.share(office, others...)
	others[0].hear(office, alice.say(office, "hello")...)
	acknowledge(alice)
	return alice, others
}

func acknowledge(m *member) {
	for _, d := range sortedDevices(m.to) {
		m.do(Acknowledged{From: d, Root: m.to[d].id})
	}
}

// sizes sums up what effects put on the wire and on the disk, in bytes.
func sizes(effects []Effect) (sent, stored int) {
	for _, f := range effects {
		switch f := f.(type) {
		case Append:
			sent += len(f.Payload)
		case Persist:
			stored += len(f.Key) + len(f.Value)
		}
	}
	return sent, stored
}

// The entry's signature, about 20 us to make and 40 us to check, is not in these.

func BenchmarkSeal(b *testing.B) {
	alice, _ := crowd(b, 10)
	text := make([]byte, benchText)
	sent, messages := 0, 0
	for b.Loop() {
		n, _ := sizes(alice.Handle(alice.now, Seal{Room: office, Kind: wire.KindMessage, Plaintext: text}))
		sent, messages = sent+n, messages+1
		alice.now = alice.now.Add(time.Millisecond)
	}
	b.ReportMetric(float64(sent)/float64(messages), "wire-B/op")
}

func BenchmarkOpen(b *testing.B) {
	alice, others := crowd(b, 1)
	bob := others[0]
	text := make([]byte, benchText)
	var entries []wire.Entry
	stored, opened := 0, 0
	for b.Loop() {
		if len(entries) == 0 {
			b.StopTimer()
			for range 1000 {
				entries = append(entries, alice.do(Seal{Room: office, Kind: wire.KindMessage, Plaintext: text})...)
			}
			alice.effects = nil
			b.StartTimer()
		}
		effects := bob.Handle(alice.now, Receive{Room: office, Entry: entries[0]})
		_, n := sizes(effects)
		stored, opened = stored+n, opened+1
		entries = entries[1:]
	}
	b.ReportMetric(float64(stored)/float64(opened), "disk-B/op")
}

// BenchmarkOpenFar opens a message behind 1,999 that are missing.
func BenchmarkOpenFar(b *testing.B) {
	alice, others := crowd(b, 1)
	bob := others[0]
	epoch := uint64(1)
	for b.Loop() {
		b.StopTimer()
		epoch++
		bob.hear(office, alice.forge(epoch, secret{}, bob)...)
		payload := message(alice, epoch, MaxMessages-1, advance(secret{}, MaxMessages-1), "x")
		far := alice.sign(office, wire.KindMessage, epoch, payload)
		bob.effects = nil
		b.StartTimer()
		bob.Handle(alice.now, Receive{Room: office, Entry: far})
	}
}

// BenchmarkRekey seals the first message of an epoch: with the pair roots of the
// week known, and once a week without.
func BenchmarkRekey(b *testing.B) {
	for _, n := range []int{10, 100, 250} {
		for _, known := range []bool{true, false} {
			name := fmt.Sprintf("devices=%d/roots=known", n)
			if !known {
				name = fmt.Sprintf("devices=%d/roots=new", n)
			}
			b.Run(name, func(b *testing.B) {
				alice, _ := crowd(b, n)
				sent, stored, entries, times := 0, 0, 0, 0
				for b.Loop() {
					b.StopTimer()
					alice.do(Rotate{Room: office})
					if !known {
						alice.to = map[chat.DeviceID]*pairTo{}
					}
					alice.effects = nil
					b.StartTimer()
					effects := alice.Handle(alice.now, Seal{Room: office, Kind: wire.KindMessage, Plaintext: []byte("x")})
					w, d := sizes(effects)
					for _, f := range effects {
						if _, ok := f.(Append); ok {
							entries++
						}
					}
					sent, stored, times = sent+w, stored+d, times+1
				}
				b.ReportMetric(float64(sent)/float64(times), "wire-B/op")
				b.ReportMetric(float64(stored)/float64(times), "disk-B/op")
				b.ReportMetric(float64(entries)/float64(times), "entries/op")
			})
		}
	}
}

// BenchmarkShare takes the share of a new epoch in: with a known pair root, and
// with a new one, which costs a decapsulation.
func BenchmarkShare(b *testing.B) {
	for _, known := range []bool{true, false} {
		name := "root=new"
		if known {
			name = "root=known"
		}
		b.Run(name, func(b *testing.B) {
			alice, others := crowd(b, 250)
			bob := others[0]
			for b.Loop() {
				b.StopTimer()
				alice.do(Rotate{Room: office})
				if !known {
					delete(alice.to, bob.device)
				}
				var mine wire.Entry
				for _, en := range ofKind(alice.say(office, "x"), wire.KindKeyShare) {
					if s, err := decodeShare(office, en.Payload); err != nil {
						b.Fatal(err)
					} else if _, ok := s.slotFor(office, bob.device); ok {
						mine = en
					}
				}
				alice.effects, bob.effects = nil, nil
				b.StartTimer()
				bob.Handle(alice.now, Receive{Room: office, Entry: mine})
			}
		})
	}
}
