package room

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"earshot/chat"
	"earshot/chat/wire"
)

// flood fills what waits at m with entries whose predecessors never come.
func flood(t *testing.T, m *member, n int) {
	t.Helper()
	open, _ := opening(t, "mallory", chat.HLCOf(noon))
	for i := range n {
		h := after(open, wire.KindMessage)
		h.Seq += uint64(i) + 1
		m.hears(noon, forge(t, "mallory", h, wire.Message{Text: "x"}))
	}
}

func TestWhatWaitsIsBounded(t *testing.T) {
	bob := join(t, "bob")
	flood(t, bob, chat.MaxPending+10)
	want(t, "waits", bob.Pending(lobby), chat.MaxPending)
	want(t, "each is missed", len(bob.lacks), chat.MaxPending+10)
	bob.do(noon.Add(staleAfter+time.Second), Tick{})
	want(t, "forgotten", bob.Pending(lobby), 0)
	want(t, "bytes", bob.pendingBytes, 0)
}

func TestAFloodOfWhatWaitsDoesNotStopWhatIsInOrder(t *testing.T) {
	alice, bob := join(t, "alice"), join(t, "bob")
	flood(t, bob, chat.MaxPending+10)
	bob.hears(noon, alice.says(noon, "live")...)
	carol := join(t, "carol")
	bob.fetches(noon, carol.says(noon, "fetched")...)
	want(t, "bob reads", len(bob.texts()), 2)
}

func TestWhatWaitsIsBoundedBySizeOverAllRooms(t *testing.T) {
	bob := join(t, "bob")
	text := make([]byte, chat.MaxText)
	for i := range text {
		text[i] = 'x'
	}
	total, n := 0, 0
	for room := 0; total <= chat.MaxPendingBytes; room++ {
		id := chat.OpenRoom(fmt.Sprintf("#room%d", room))
		bob.do(noon, Enter{Room: id})
		salt := salts("mallory")()
		log := chat.NewLogID(deviceOf("mallory"), salt[:])
		h := wire.Header{Log: log, Ref: id.Ref(log), Prev: chat.EntryID{1}, HLC: chat.HLCOf(noon), Kind: wire.KindMessage}
		for h.Seq = 2; h.Seq < 300 && total <= chat.MaxPendingBytes; h.Seq++ {
			e := forge(t, "mallory", h, wire.Message{Text: string(text)})
			bob.do(noon, Receive{Room: id, Entry: e, From: deviceOf("relay")})
			total += len(e.Head) + len(e.Payload)
			n++
		}
	}
	if bob.pendingBytes > chat.MaxPendingBytes || bob.pendingBytes < chat.MaxPendingBytes-2*chat.MaxPayload {
		t.Errorf("%d bytes wait of %d offered", bob.pendingBytes, total)
	}
}

func TestTheLogsOfADeviceAndOfARoomAreBounded(t *testing.T) {
	bob := join(t, "bob")
	for i := range chat.MaxLogsPerDevice + 5 {
		salt := [wire.SaltSize]byte{byte(i), 1}
		log := chat.NewLogID(deviceOf("mallory"), salt[:])
		h := wire.Header{Log: log, Ref: lobby.Ref(log), Seq: 1, HLC: chat.HLCOf(noon), Kind: wire.KindOpen}
		bob.hears(noon, forge(t, "mallory", h, wire.Open{Certificate: certificateOf("mallory"), Salt: salt[:]}))
	}
	want(t, "of a device", len(bob.Frontier(lobby)), chat.MaxLogsPerDevice)

	var logs []Log
	for i := range chat.MaxLogsPerRoom {
		logs = append(logs, Log{Log: chat.LogID{byte(i >> 8), byte(i)}, Device: chat.DeviceID{byte(i >> 8), byte(i)}, Seq: 1})
	}
	bob.do(noon, Restore{Room: lobby, Logs: logs})
	want(t, "of a room", len(bob.hears(noon, join(t, "alice").says(noon, "no room")...)), 0)
	want(t, "nothing waits", bob.Pending(lobby), 0)
	want(t, "nobody is blamed", len(bob.refuse), 0)
}

func Test5000EntriesInReverseAreCaughtUpInBoundedMemory(t *testing.T) {
	alice, bob := join(t, "alice"), join(t, "bob")
	var said []wire.Entry
	for i := range 5000 {
		said = append(said, alice.says(noon.Add(time.Duration(i)*time.Millisecond), "x")...)
	}
	carol := join(t, "carol")
	start := time.Now()
	carol.hears(noon.Add(5*time.Second), said...)
	inOrder := time.Since(start)
	reversed := slices.Clone(said)
	slices.Reverse(reversed)
	start = time.Now()
	bob.hears(noon.Add(5*time.Second), reversed...)
	if bob.Pending(lobby) > chat.MaxPending {
		t.Errorf("%d wait", bob.Pending(lobby))
	}
	bob.fetches(noon.Add(6*time.Second), said...)
	// Measured by what the same costs in order, on the same machine: far above what it
	// takes, far below what quadratic work would.
	if took := time.Since(start); took > 100*inOrder {
		t.Errorf("took %v, and %v in order", took, inOrder)
	}
	want(t, "stored", len(bob.stored), len(said))
	want(t, "roots", bob.Root(lobby), alice.Root(lobby))
}

func TestWhatIsNotedAboutWaitingIsForgottenWithIt(t *testing.T) {
	alice, bob, carol := join(t, "alice"), join(t, "bob"), join(t, "carol")
	now := noon
	for range 50 {
		now = now.Add(time.Second)
		bob.hears(now, alice.says(now, "q")...)
		carol.hears(now, bob.says(now, "a")...) // without the question
		for range 20 {
			now = now.Add(tickEvery)
			carol.do(now, Tick{})
		}
	}
	want(t, "answers shown", len(carol.texts()), 50)
	r := carol.rooms[lobby]
	want(t, "waits", r.count, 0)
	if len(r.pending) > 0 || len(r.blocked) > 0 {
		t.Errorf("left behind: %d pending, %d blocked", len(r.pending), len(r.blocked))
	}
}

func BenchmarkPost(b *testing.B) {
	m := join(b, "alice")
	b.ReportAllocs()
	now := noon
	for b.Loop() {
		now = now.Add(time.Millisecond)
		m.Handle(now, Post{Room: lobby, Text: "two hundred bytes are a usual message, this one is shorter"})
	}
}

func BenchmarkSignAlone(b *testing.B) {
	_, h := opening(b, "alice", chat.HLCOf(noon))
	h.Seq, h.Prev, h.Kind = 2, chat.EntryID{1}, wire.KindMessage
	for b.Loop() {
		forge(b, "alice", h, wire.Message{Text: "two hundred bytes are a usual message, this one is shorter"})
	}
}

func BenchmarkReceive(b *testing.B) {
	alice := join(b, "alice")
	var said []wire.Entry
	for i := range 2000 {
		said = append(said, alice.says(noon.Add(time.Duration(i)*time.Millisecond), "two hundred bytes are a usual message")...)
	}
	b.ReportAllocs()
	n := 0
	var bob *Engine
	for b.Loop() {
		if n%len(said) == 0 {
			bob = New(configOf("bob"))
			bob.Handle(noon, Enter{Room: lobby})
		}
		if out := bob.Handle(noon.Add(time.Minute), Receive{Room: lobby, Entry: said[n%len(said)], From: deviceOf("relay")}); len(out) != 1 {
			b.Fatal(out)
		}
		n++
	}
}
