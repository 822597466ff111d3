package sim

import (
	"bytes"
	"testing"
	"time"

	"earshot/chat"
	"earshot/chat/receipt"
	proto "earshot/chat/wire"
)

// What strangers and members may do to what is told of messages.

// Somebody who has got to know a room's id, such as one who was removed.
func TestWhoIsNotInARoomMustNotLearnOrSayWhatIsHeldThere(t *testing.T) {
	s := besiege(t)
	befriend(s.ann, s.ben)
	room := s.ann.chatWith(s.ben.id()).RoomID
	m := s.ann.tells(room, "Between the two of us")
	s.ben.readTo(m)
	want := chat.MessageState{State: chat.StateRead, Of: 1, Delivered: 1, Read: 1}
	s.ann.reaches(m, want)
	s.goroutines, s.heap = level()

	x := s.stranger(nil)
	raw := x.open(peerProtocol)
	tag := room.Tag(time.Now())
	everything := receipt.EncodeMarks([]receipt.Mark{{Log: receipt.LogPrefix{1}, Seq: 1 << 40}})
	lie := receipt.Sign(x.key, room, receipt.Held, uint64(time.Now().UnixMicro()), everything)
	said := proto.Receipt{Tag: tag[:], Statements: []proto.Statement{{Device: []byte{}, Kind: uint8(lie.Kind), Version: lie.Version, Marks: lie.Marks, Sig: lie.Sig[:]}}}
	forged := said
	forged.Statements = bytesOfBen(s, lie)
	for _, b := range [][]byte{
		frames(x.hello()), frames(said, forged),
		frames(proto.ReceiptHave{Rooms: []proto.ReceiptRoot{{Tag: tag[:], Sum: make([]byte, proto.ReceiptSum)}}}),
		frames(proto.ReceiptWant{Tag: tag[:]}),
		frames(proto.Contact{Message: x.request("Mallory", "behind all of it")}),
	} {
		if _, err := raw.Write(b); err != nil {
			t.Fatal(err)
		}
	}
	s.ann.until("all of it is heard", func() bool { return len(s.ann.tray()) == 1 })
	_ = raw.SetReadDeadline(time.Now().Add(300 * time.Millisecond))
	for _, f := range readFrames(raw) {
		switch f.(type) {
		case proto.Receipt, proto.ReceiptHave, proto.ReceiptWant:
			t.Errorf("a stranger is told %+v", f)
		}
	}
	if got := s.ann.state(m); got != want {
		t.Errorf("after a stranger has spoken it is %+v, not %+v", got, want)
	}
	if d := s.ann.detail(m); len(d.Holders) != 0 || len(d.Recipients) != 1 || len(d.Recipients[0].Devices) != 1 {
		t.Errorf("after a stranger has spoken it is held by %+v and %+v", d.Holders, d.Recipients)
	}
	x.vanish()
	s.withstood()
}

// bytesOfBen returns a statement that somebody else has signed as Ben's.
func bytesOfBen(s *siege, lie receipt.Statement) []proto.Statement {
	me, err := s.ben.Me(s.ben.ctx)
	s.ben.must(err)
	return []proto.Statement{{Device: bytes.Clone(me.Device[:]), Kind: uint8(receipt.Held), Version: lie.Version, Marks: lie.Marks, Sig: lie.Sig[:]}}
}

func TestAFloodOfReceiptsMustNotEatTheLoop(t *testing.T) {
	s := besiege(t)
	befriend(s.ann, s.ben)
	room := s.ann.chatWith(s.ben.id()).RoomID
	s.ben.reads(room, s.ann.tells(room, "Hello").Text)
	s.goroutines, s.heap = level()
	x := s.stranger(nil)
	tag := room.Tag(time.Now())
	full := proto.ReceiptWant{Tag: tag[:]}
	for i := range chat.MaxReceipts {
		full.Lines = append(full.Lines, proto.ReceiptLine{Device: []byte{0, 0, 0, 0, 0, 0, byte(i >> 8), byte(i)}, Kind: 1, Version: 1})
	}
	flood := frames(full)
	go x.openAndSend(peerProtocol, frames(x.hello()), bytes.Repeat(flood, 200))
	for range 20 {
		start := time.Now()
		m := s.ann.tells(room, "Still there?")
		s.ann.reaches(m, delivered(1, 1))
		inTime(t, "for a message to be delivered during a flood", time.Since(start), 2*time.Second)
	}
	x.vanish()
	s.withstood()
}
