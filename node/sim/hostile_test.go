package sim

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/protocol"

	"earshot/chat"
	"earshot/chat/identity"
	proto "earshot/chat/wire"
	"earshot/node/host"
)

// What strangers may do to streams and connections.

func TestGarbageOnAStreamMustNotBeBorne(t *testing.T) {
	s := besiege(t)
	for _, p := range []protocol.ID{peerProtocol, syncProtocol} {
		s.each(string(p), func() {
			x := s.stranger(nil)
			x.again(func() { x.openAndSend(p, frame(append([]byte{byte(proto.TypeHello)}, garbage(200)...))) })
			x.cutOff()
			x.vanish()
			s.withstood()
		})
	}
}

func TestALengthOutOfBoundsMustCostTheStanding(t *testing.T) {
	s := besiege(t)
	for _, length := range []uint32{0, chat.MaxFrame + 1, 0xffffffff} {
		s.each(fmt.Sprint(length), func() {
			x := s.stranger(nil)
			head := binary.BigEndian.AppendUint32(nil, length)
			x.again(func() { x.openAndSend(peerProtocol, frames(x.hello()), head, garbage(1000)) })
			x.cutOff()
			x.vanish()
			s.withstood()
		})
	}
}

func TestManySilentStreamsMustNotBeHeld(t *testing.T) {
	s := besiege(t)
	x := s.stranger(nil)
	for range 100 {
		x.openAndSend(peerProtocol, []byte{0, 0})
	}
	x.cutOff()
	x.vanish()
	s.withstood()
}

func TestSilentSyncSessionsMustNotKeepOthersOut(t *testing.T) {
	s := besiege(t)
	x := s.stranger(nil)
	for range 100 {
		x.openAndSend(syncProtocol, []byte{0, 0})
	}
	x.cutOff()
	// Who comes now needs a session to read what was said.
	n, err := s.Enter(s.ann.ctx, "Cleo")
	if err != nil {
		t.Fatal(err)
	}
	cleo := watch(t, s.ann.ctx, n)
	cleo.hears("word 1")
	if err := s.Leave(s.ann.ctx, n); err != nil {
		t.Error(err)
	}
	x.vanish()
}

func TestASilentStreamMustEndByItself(t *testing.T) {
	if testing.Short() {
		t.Skip("it waits for the 10 s that a hello may take")
	}
	s := besiege(t)
	x := s.stranger(nil)
	raw := x.open(peerProtocol)
	if _, err := raw.Write([]byte{0}); err != nil {
		t.Fatal(err)
	}
	_ = raw.SetReadDeadline(time.Now().Add(15 * time.Second))
	buf := make([]byte, 4096)
	var err error
	for err == nil {
		_, err = raw.Read(buf)
	}
	if e, ok := err.(interface{ Timeout() bool }); ok && e.Timeout() {
		t.Error("the stream is still there")
	}
	s.until("it was counted", func() bool { return s.ann.Refused() == 1 })
	x.vanish()
	s.withstood()
}

func TestAnothersCertificateMustNotBeTaken(t *testing.T) {
	s := besiege(t)
	x := s.stranger(nil)
	other := newKey()
	cert, err := identity.Sign(newKey(), deviceOf(other), time.Now(), "")
	if err != nil {
		t.Fatal(err)
	}
	hello := x.hello()
	hello.Certificate, hello.Name = cert.Bytes(), "Ben"
	x.again(func() { x.openAndSend(peerProtocol, frames(hello)) })
	x.cutOff()
	people, err := s.ann.People(s.ann.ctx)
	if err != nil || len(people) != 2 {
		t.Errorf("Ann knows %v (%v)", people, err)
	}
	x.vanish()
	s.withstood()
}

func TestHelloAgainAndAgainMustNotBeBorne(t *testing.T) {
	s := besiege(t)
	for name, hellos := range map[string]int{"on one stream": 100, "on many": 1} {
		s.each(name, func() {
			x := s.stranger(nil)
			x.again(func() {
				var list []proto.Frame
				for range hellos {
					list = append(list, x.hello())
				}
				x.openAndSend(peerProtocol, frames(list...))
			})
			x.cutOff()
			x.vanish()
			s.withstood()
		})
	}
}

func TestFramesOutOfPlaceMustNotBeBorne(t *testing.T) {
	s := besiege(t)
	for _, f := range []proto.Frame{
		proto.Compare{Nonce: garbage(proto.NonceSize)}, proto.Frontier{Tag: garbage(16)}, proto.Entries{Tag: garbage(16)}, proto.Done{},
	} {
		s.each(fmt.Sprintf("%T on the peer stream", f), func() {
			x := s.stranger(nil)
			x.again(func() { x.openAndSend(peerProtocol, frames(x.hello(), f, f, f, f, f)) })
			x.cutOff()
			x.vanish()
			s.withstood()
		})
		if _, ok := f.(proto.Compare); ok {
			continue
		}
		s.each(fmt.Sprintf("%T unasked", f), func() {
			x := s.stranger(nil)
			x.again(func() { x.openAndSend(syncProtocol, frames(f)) })
			x.cutOff()
			x.vanish()
			s.withstood()
		})
	}
}

func TestAFloodOfFramesMustNotEatTheLoop(t *testing.T) {
	have := proto.Have{Nonce: garbage(proto.NonceSize)}
	for range chat.MaxRooms {
		have.Rooms = append(have.Rooms, proto.RoomRoot{Tag: garbage(len(chat.RoomTag{})), Root: garbage(32)})
	}
	flood := frames(have, proto.Typing{Room: garbage(len(chat.RoomTag{})), Typing: true})
	flood = bytes.Repeat(append(flood, frame([]byte{200})...), 10)
	s := besiege(t)
	x := s.stranger(nil)
	raw := x.open(peerProtocol)
	if _, err := raw.Write(frames(x.hello())); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			if _, err := raw.Write(flood); err != nil {
				return
			}
		}
	})
	s.talk(time.Second) // while it lasts
	x.until("the flood is cut off", func() bool { return !x.connected() })
	wg.Wait()
	x.cutOff()
	x.vanish()
	s.withstood()
}

func TestWhoReadsNothingMustNotHoldAnybodyUp(t *testing.T) {
	s := besiege(t)
	x := s.stranger(func(x *stranger) {
		for _, p := range []protocol.ID{peerProtocol, syncProtocol} {
			x.Libp2p().SetStreamHandler(p, func(network.Stream) {})
		}
	})
	raw := x.open(peerProtocol)
	if _, err := raw.Write(frames(x.hello())); err != nil {
		t.Fatal(err)
	}
	s.ann.sees("Mallory", chat.Here)
	for i := range 20 { // all are told what is held there
		_, err := s.ann.JoinRoom(s.ann.ctx, fmt.Sprint("room-", i))
		s.ann.must(err)
	}
	s.talk(time.Second)
	x.vanish()
	s.ann.sees("Mallory", chat.Gone)
	s.withstood()
}

func TestResetsInTheMiddleMustLeaveNothingBehind(t *testing.T) {
	s := besiege(t)
	x := s.stranger(nil)
	compare := frames(proto.Compare{Nonce: garbage(proto.NonceSize)})
	for i := range 60 {
		p, data := peerProtocol, frames(x.hello())
		if i%2 == 1 {
			p, data = syncProtocol, compare
		}
		raw, err := x.Libp2p().NewStream(s.ann.ctx, host.PeerID(x.victim), p)
		if err != nil {
			break // it has lost its standing by then, or not: both are well
		}
		_, _ = raw.Write(data[:len(data)*(i%7)/6])
		_ = raw.Reset()
	}
	x.vanish()
	s.withstood()
}

func TestACrowdOfConnectionsMustNotShutOthersOut(t *testing.T) {
	s := besiege(t)
	var crowd []*stranger
	for range 200 {
		x := s.stranger(nil)
		x.openAndSend(peerProtocol, frames(x.hello()))
		crowd = append(crowd, x)
	}
	s.talk(time.Second)
	for _, x := range crowd {
		x.vanish()
	}
	s.withstood()
}

func TestComingAndGoingMustLeaveNothingBehind(t *testing.T) {
	s := besiege(t)
	times := 8
	if !testing.Short() {
		times = 50
	}
	ctx, stop := context.WithCancel(s.ann.ctx)
	var wg sync.WaitGroup
	for _, d := range []*desk{s.ann, s.ben} {
		wg.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				if _, err := d.Send(s.ann.ctx, lobby, chat.Draft{Text: fmt.Sprint(d.Name(), " ", i)}); err != nil {
					t.Error(err)
				}
				_ = d.SetTyping(s.ann.ctx, lobby, i%2 == 0)
				time.Sleep(2 * time.Millisecond) // 1,000 messages a second of two
			}
		})
	}
	for i := range times {
		cleo, err := s.Enter(s.ann.ctx, "Cleo")
		if err != nil {
			t.Fatal(err)
		}
		switch i % 3 {
		case 0: // at once, in the middle of everything
		case 1:
			if _, err := cleo.Send(s.ann.ctx, lobby, chat.Draft{Text: fmt.Sprint("Cleo ", i)}); err != nil {
				t.Error(err)
			}
		case 2:
			s.until("Cleo sees somebody", func() bool {
				people, err := cleo.People(s.ann.ctx)
				return err == nil && len(people) > 1 && people[1].Presence == chat.Here
			})
		}
		if err := s.Leave(s.ann.ctx, cleo); err != nil {
			t.Error(err)
		}
	}
	stop()
	wg.Wait()
	// What Cleo said on the way out may have stayed with her until she is back.
	cleo, err := s.Enter(s.ann.ctx, "Cleo")
	if err != nil {
		t.Fatal(err)
	}
	s.ann.hears(fmt.Sprint("Cleo ", 1))
	if err := s.Leave(s.ann.ctx, cleo); err != nil {
		t.Error(err)
	}
	if n := s.ann.Refused() + s.ben.Refused(); n != 0 {
		t.Errorf("%d refusals among the honest", n)
	}
	s.talk(patience) // behind all that was said so fast
	s.withstood()
}

func TestWhoIsCutOffMustNotBeCalledBack(t *testing.T) {
	s := besiege(t)
	var calls sync.Map // by whom
	x := s.stranger(func(x *stranger) {
		x.Libp2p().Network().Notify(&network.NotifyBundle{ConnectedF: func(_ network.Network, c network.Conn) {
			if c.Stat().Direction == network.DirInbound {
				calls.Store(c.RemotePeer(), true)
			}
		}})
	})
	x.again(func() {
		x.openAndSend(peerProtocol, frames(x.hello(), proto.Done{}, proto.Done{}, proto.Done{}, proto.Done{}, proto.Done{}))
	})
	x.cutOff()
	ben, _ := s.ben.Me(s.ben.ctx)
	s.announce(host.PeerID(x.Device()), x.Addrs()[0])
	s.until("Ben calls who is new to him", func() bool { _, ok := calls.Load(host.PeerID(ben.Device)); return ok })
	s.talk(time.Second)
	if _, ok := calls.Load(host.PeerID(x.victim)); ok {
		t.Error("Ann has called back")
	}
	x.vanish()
}
