package sim

import (
	"crypto/ed25519"
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
	ma "github.com/multiformats/go-multiaddr"

	"earshot/chat"
	"earshot/chat/identity"
	proto "earshot/chat/wire"
	"earshot/node/gossip"
	"earshot/node/host"
	"earshot/node/keyring"
)

// The live path of small sealed rooms: straight from the author to each device.

const directProtocol protocol.ID = "/earshot/live/1"

// spy is a bare host that is in no room and takes down what is gossiped.
type spy struct {
	t  *testing.T
	mu sync.Mutex
	// heard are the entries that came, and how many copies that differ.
	heard map[chat.EntryID]int
}

// spy comes to the office and is connected to each of some.
func (o *Office) spy(t *testing.T, on ...*desk) *spy {
	t.Helper()
	s := &spy{t: t, heard: map[chat.EntryID]int{}}
	h, err := host.New(host.Config{Key: newKey(), ListenAddrs: []ma.Multiaddr{ma.StringCast("/ip4/10.77.0.1/tcp/4001")}, Transport: o.Net.Transport()})
	if err != nil {
		t.Fatal(err)
	}
	joined := make(chan struct{}, 16)
	topic, err := gossip.Join(h.Libp2p(), gossip.Config{
		Topic: "earshot/1/shard/0", MessageID: func(b []byte) string { return string(b) },
		Deliver: func(_ peer.ID, data []byte) {
			if _, e, err := proto.DecodeLive(data); err == nil {
				s.mu.Lock()
				s.heard[e.ID]++
				s.mu.Unlock()
			}
		},
		Joined: func(peer.ID) { joined <- struct{}{} },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		topic.Close()
		_ = h.Close(t.Context())
	})
	if err := h.Listen(); err != nil {
		t.Fatal(err)
	}
	for _, d := range on {
		me, err := d.Me(d.ctx)
		if err != nil {
			t.Fatal(err)
		}
		if err := h.Dial(d.ctx, me.Device, []ma.Multiaddr{ma.StringCast(me.Addresses[0])}); err != nil {
			t.Fatal(err)
		}
		<-joined
		// That it listens has yet to come to them: the very first may be lost.
		for late, heard := time.Now().Add(20*time.Second), false; !heard; {
			m := d.say("Is anybody listening?")
			for wait := 0; !heard && wait < 40; wait++ {
				time.Sleep(5 * time.Millisecond)
				heard = s.copies(m) > 0
			}
			if !heard && time.Now().After(late) {
				t.Fatalf("nothing that %s says is gossiped", d.Name())
			}
		}
	}
	return s
}

// copies returns how often an entry was gossiped.
func (s *spy) copies(m chat.Message) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.heard[m.ID]
}

// awaits waits for an entry.
func (s *spy) awaits(m chat.Message) {
	s.t.Helper()
	for late := time.Now().Add(20 * time.Second); s.copies(m) == 0; {
		if time.Now().After(late) {
			s.t.Fatalf("%q was never gossiped", m.Text)
		}
		time.Sleep(5 * time.Millisecond) // nothing tells of it
	}
}

// goesDirectly waits until what somebody says in a room is not gossiped: that those
// in it have found each other is not told.
func (s *spy) goesDirectly(d *desk, room chat.RoomID, readers ...*desk) {
	s.t.Helper()
	for late := time.Now().Add(20 * time.Second); ; {
		m := d.tells(room, fmt.Sprint("settled at ", time.Now().UnixNano()))
		for _, r := range readers {
			r.reads(room, m.Text)
		}
		s.awaits(d.say("Hello, all")) // behind whatever was gossiped
		if s.copies(m) == 0 {
			return
		}
		if time.Now().After(late) {
			s.t.Fatalf("what %s says goes by gossip for ever", d.Name())
		}
	}
}

func TestASmallRoomIsNotGossipedWhileAllAreReached(t *testing.T) {
	t.Parallel()
	o, enter := newOffice(t)
	ann, ben, cleo := enter("Ann"), enter("Ben"), enter("Cleo")
	befriend(ann, ben)
	befriend(ann, cleo)
	ben.sees("Cleo", chat.Here)
	room := ann.create("garden", "")
	ann.brings(room, ben, cleo)
	all := []*desk{ann, ben, cleo}
	eve := o.spy(t, all...)
	var said []chat.Message
	// On a busy machine a device may be out of reach for a moment, and is told by
	// gossip then, as it should be.
	for series := range 5 {
		for _, d := range all {
			eve.goesDirectly(d, room, all...)
		}
		begun := len(said)
		for i := range 20 {
			for _, d := range all {
				said = append(said, d.tells(room, fmt.Sprint(d.Name(), " ", series, " ", i)))
			}
		}
		for _, d := range all {
			for _, m := range said[begun:] {
				d.reads(room, m.Text)
			}
		}
		for _, d := range all { // whoever meant to pass something on has done so
			eve.awaits(d.say("That's all"))
		}
		gossiped := 0
		for _, m := range said[begun:] {
			gossiped += eve.copies(m)
		}
		if gossiped == 0 {
			break
		}
		if series == 4 {
			t.Errorf("a stranger saw %d copies of what was said last, and some each time before", gossiped)
		}
	}
	for _, d := range all {
		got := d.texts(room)
		for _, m := range said {
			if n := count(got, m.Text); n != 1 {
				t.Errorf("%s has %q %d times", d.Name(), m.Text, n)
			}
		}
	}
}

func count(texts []string, text string) (n int) {
	for _, t := range texts {
		if t == text {
			n++
		}
	}
	return n
}

func TestWhoIsOutOfTheAuthorsReachIsReachedThroughAnother(t *testing.T) {
	t.Parallel()
	o, enter := newOffice(t)
	ann, ben, cleo := enter("Ann"), enter("Ben"), enter("Cleo")
	befriend(ann, ben)
	befriend(ann, cleo)
	ben.sees("Cleo", chat.Here)
	room := ann.create("garden", "")
	ann.brings(room, ben, cleo)
	ben.until("Cleo is in", func() bool { return ben.has(room, cleo.id()) })
	for _, d := range []*desk{ann, ben, cleo} {
		d.tells(room, d.Name()+" is here")
		for _, other := range []*desk{ann, ben, cleo} {
			other.reads(room, d.Name()+" is here")
		}
	}
	// Ann is back elsewhere, from where Cleo can't be seen, and knows nothing of that.
	o.leave(ann)
	o.Net.Cut([]netip.Addr{netip.MustParseAddr("10.9.0.5")}, []netip.Addr{netip.MustParseAddr("10.9.0.4")})
	ann = enter("Ann")
	ann.sees("Ben", chat.Here)
	eve := o.spy(t, ben)
	m := ann.tells(room, "Does everybody hear me?")
	cleo.reads(room, m.Text)
	eve.awaits(m) // not only by catch-up
	back := cleo.tells(room, "I do")
	ann.reads(room, back.Text)
	for _, d := range []*desk{ann, ben, cleo} {
		for _, m := range []chat.Message{m, back} {
			d.reads(room, m.Text)
			if n := count(d.texts(room), m.Text); n != 1 {
				t.Errorf("%s has %q %d times", d.Name(), m.Text, n)
			}
		}
	}
}

func TestStreamsThatBreakLoseNothing(t *testing.T) {
	t.Parallel()
	o, enter := newOffice(t)
	ann, ben := enter("Ann"), enter("Ben")
	befriend(ann, ben)
	room := ann.chatWith(ben.id()).RoomID
	o.spy(t, ann).goesDirectly(ann, room, ben)
	a, b := []netip.Addr{netip.MustParseAddr("10.9.0.2")}, []netip.Addr{netip.MustParseAddr("10.9.0.3")}
	const lines = 240
	for i := range lines {
		switch i % 60 {
		case 20: // in the middle of what is on its way
			o.Net.Cut(a, b)
		case 40:
			o.Net.Heal()
		}
		ann.tells(room, fmt.Sprint("line ", i))
	}
	o.Net.Heal()
	ben.reads(room, fmt.Sprint("line ", lines-1))
	var got []string
	ben.until("has every line", func() bool {
		got = slices.DeleteFunc(ben.texts(room), func(s string) bool { return s[0] != 'l' })
		return len(got) >= lines
	})
	for i, text := range got {
		if text != fmt.Sprint("line ", i) {
			t.Fatalf("line %d is %q", i, text)
		}
	}
}

// besideBen returns the direct chat of the honest two, and Ben's root key: with it
// strangers become devices of his.
func (s *siege) besideBen() (chat.RoomID, ed25519.PrivateKey) {
	s.t.Helper()
	befriend(s.ann, s.ben)
	room := s.ann.chatWith(s.ben.id()).RoomID
	s.ann.tells(room, "first")
	s.ben.reads(room, "first")
	keys, err := keyring.Load(s.t.Context(), s.Home("Ben"), keyring.Options{})
	if err != nil {
		s.t.Fatal(err)
	}
	return room, keys.Root
}

// device comes as a device of the person with a root key, has said hello, and takes
// what it is given.
func (s *siege) device(root ed25519.PrivateKey) *stranger {
	s.t.Helper()
	x := s.stranger(func(x *stranger) {
		x.root = root
		var err error
		// Older than their own, which keys go to in any case.
		if x.cert, err = identity.Sign(root, deviceOf(x.key), time.Now().Add(-time.Hour), ""); err != nil {
			s.t.Fatal(err)
		}
		x.Libp2p().SetStreamHandler(directProtocol, func(raw network.Stream) { drain(raw) })
		x.Libp2p().SetStreamHandler(peerProtocol, func(raw network.Stream) {
			if x.left.Load() {
				_ = raw.Reset()
				return
			}
			_, _ = raw.Write(frames(x.hello()))
			drain(raw)
		})
	})
	if id := deviceOf(x.key); slices.Compare(id[:], x.victim[:]) < 0 {
		raw := x.open(peerProtocol)
		if _, err := raw.Write(frames(x.hello())); err != nil {
			s.t.Fatal(err)
		}
		go drain(raw) // ends with the host
	}
	return x
}

// leaves has a device say goodbye, once Ann has met it.
func (x *stranger) leaves() {
	x.t.Helper()
	x.heardAsDevice() // else its hello might be heard after its goodbye
	x.left.Store(true)
	x.openAndSend(peerProtocol, frames(x.hello(), proto.Goodbye{}))
}

func drain(raw network.Stream) {
	buf := make([]byte, 4096)
	for {
		if _, err := raw.Read(buf); err != nil {
			return
		}
	}
}

func given(room chat.RoomID, e proto.Entry) []byte {
	return frames(proto.Direct{Cover: make([]byte, proto.CoverSize), Message: proto.EncodeLive(room.Tag(time.Now()), &e)})
}

// heardAsDevice waits until Ann has met a device.
func (x *stranger) heardAsDevice() {
	x.t.Helper()
	x.until("Ann takes what it says", func() bool {
		raw, err := x.Libp2p().NewStream(x.ann.ctx, host.PeerID(x.victim), directProtocol)
		if err != nil {
			return false
		}
		defer raw.Reset()
		if _, err := raw.Write(frame([]byte{200})); err != nil {
			return false
		}
		_ = raw.SetReadDeadline(time.Now().Add(300 * time.Millisecond))
		_, err = raw.Read(make([]byte, 1))
		late, ok := err.(interface{ Timeout() bool })
		return ok && late.Timeout() // it is held, and nothing comes back
	})
}

func TestAStrangersEntriesMustNotBeTakenDirectly(t *testing.T) {
	s := besiege(t)
	x := s.stranger(nil)
	x.again(func() {
		x.openAndSend(directProtocol, given(lobby, newAuthor(lobby, x.key, x.root).open()))
		time.Sleep(time.Millisecond)
	})
	x.cutOff()
	x.vanish()
	s.withstood()
}

func TestWhatIsNotTheSendersOwnMustNotBeTakenDirectly(t *testing.T) {
	for name, bad := range map[string]func(x *stranger, room chat.RoomID) []byte{
		"another's entry": func(_ *stranger, room chat.RoomID) []byte {
			return given(room, newAuthor(room, newKey(), newKey()).open())
		},
		"a bad signature": func(x *stranger, room chat.RoomID) []byte {
			e := newAuthor(room, x.key, x.root).open()
			e.Sig[5] ^= 1
			return given(room, e)
		},
		"the far future": func(x *stranger, room chat.RoomID) []byte {
			a := newAuthor(room, x.key, x.root)
			a.hlc = chat.HLCOf(time.Now().Add(chat.MaxFarFuture + time.Hour))
			return given(room, a.open())
		},
		"an open room": func(x *stranger, _ chat.RoomID) []byte {
			return given(lobby, newAuthor(lobby, x.key, x.root).open())
		},
		"the rest of an entry": func(*stranger, chat.RoomID) []byte {
			return frames(proto.Next{Later: 1, Sig: make([]byte, ed25519.SignatureSize), Payload: []byte{1}})
		},
		"another's entry as the next": func(x *stranger, room chat.RoomID) []byte {
			mine, other := newAuthor(room, x.key, x.root), newAuthor(room, newKey(), newKey())
			first, before, e := mine.open(), other.open(), other.says("not mine")
			f, ok := proto.NextAfter(&before, &e)
			if !ok {
				panic("it follows")
			}
			return append(given(room, first), frames(f)...)
		},
		"a frame out of place": func(*stranger, chat.RoomID) []byte { return frames(proto.Goodbye{}) },
		"a length out of bounds": func(*stranger, chat.RoomID) []byte {
			return binary.BigEndian.AppendUint32(nil, chat.MaxFrame+1)
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := besiege(t)
			room, root := s.besideBen()
			x := s.device(root)
			x.heardAsDevice()
			x.again(func() { x.openAndSend(directProtocol, bad(x, room)); time.Sleep(5 * time.Millisecond) })
			x.cutOff()
			x.vanish()
			s.withstood()
		})
	}
}

func TestAFloodOfDirectEntriesMustNotEatTheLoop(t *testing.T) {
	s := besiege(t)
	_, root := s.besideBen()
	x := s.device(root)
	x.heardAsDevice()
	raw := x.open(directProtocol)
	elsewhere := chat.OpenRoom("#elsewhere")
	flood := given(elsewhere, newAuthor(elsewhere, x.key, x.root).open())
	var sent sync.WaitGroup
	sent.Go(func() {
		for {
			if _, err := raw.Write(flood); err != nil {
				return
			}
		}
	})
	s.talk(3 * time.Second)
	_ = raw.Reset()
	sent.Wait()
	x.vanish()
	s.withstood()
}

func TestBeyond32DevicesGossipCarriesTheRoom(t *testing.T) {
	s := besiege(t)
	room, root := s.besideBen()
	eve := s.spy(t, s.ann)
	eve.goesDirectly(s.ann, room, s.ben)
	var crowd []*stranger
	for range chat.MaxDirect { // and Ben's own is one more
		crowd = append(crowd, s.device(root))
	}
	s.until("it is gossiped", func() bool {
		m := s.ann.tells(room, fmt.Sprint("many at ", time.Now().UnixNano()))
		s.ben.reads(room, m.Text)
		eve.awaits(s.ann.say("Hello, all"))
		return eve.copies(m) > 0
	})
	crowd[len(crowd)-1].leaves()
	s.until("it goes directly again", func() bool {
		m := s.ann.tells(room, fmt.Sprint("few at ", time.Now().UnixNano()))
		s.ben.reads(room, m.Text)
		eve.awaits(s.ann.say("Hello, all"))
		return eve.copies(m) == 0
	})
	for _, x := range crowd {
		x.vanish()
	}
}
