package sim

import (
	"crypto/ed25519"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"

	"earshot/chat"
	"earshot/chat/identity"
	proto "earshot/chat/wire"
	"earshot/node/api"
	"earshot/node/gossip"
	"earshot/node/host"
)

// What strangers may say: entries, over gossip and in sync sessions.

// author signs entries of one log as nobody honest would have to.
type author struct {
	key  ed25519.PrivateKey
	room chat.RoomID
	log  chat.LogID
	last proto.Entry
	salt []byte
	cert []byte
	hlc  chat.HLC
}

func newAuthor(room chat.RoomID, key, root ed25519.PrivateKey) *author {
	cert, err := identity.Sign(root, deviceOf(key), time.Now(), "")
	if err != nil {
		panic(err)
	}
	a := &author{key: key, room: room, salt: garbage(proto.SaltSize), cert: cert.Bytes(), hlc: chat.HLCOf(time.Now())}
	a.log = chat.NewLogID(deviceOf(key), a.salt)
	return a
}

// open returns the entry that opens the log.
func (a *author) open() proto.Entry {
	return a.next(proto.KindOpen, proto.Marshal(proto.Open{Certificate: a.cert, Name: "Mallory", Salt: a.salt}))
}

func (a *author) says(text string) proto.Entry {
	return a.next(proto.KindMessage, proto.Marshal(proto.Message{Text: text}))
}

func (a *author) next(kind proto.Kind, payload []byte) proto.Entry {
	a.hlc++
	e, err := proto.Sign(a.key, proto.Header{
		Log: a.log, Ref: a.room.Ref(a.log), Seq: a.last.Seq + 1, Prev: a.last.ID, HLC: a.hlc, Kind: kind,
	}, payload)
	if err != nil {
		panic(err)
	}
	a.last = e
	return e
}

// gossiping comes to the LAN as a stranger that gossips whatever it is given.
func (s *siege) gossiping() (*stranger, func(data ...[]byte)) {
	s.t.Helper()
	var topic *gossip.Topic
	joined := make(chan struct{}, 16)
	x := s.stranger(func(x *stranger) {
		var err error
		if topic, err = gossip.Join(x.Libp2p(), gossip.Config{
			Topic: "earshot/1/shard/0", MessageID: func(b []byte) string { return string(b) },
			Joined: func(peer.ID) { joined <- struct{}{} },
		}); err != nil {
			s.t.Fatal(err)
		}
		x.stop = topic.Close
	})
	<-joined
	publish := func(data ...[]byte) {
		for _, b := range data {
			if err := topic.Publish(s.ann.ctx, b); err != nil {
				s.t.Error(err)
			}
		}
	}
	// The very first may be lost, for a stranger does not catch up.
	known := s.known(s.ann)
	s.until("Ann hears the stranger's gossip", func() bool {
		publish(s.live(newAuthor(lobby, newKey(), newKey()).open()))
		return s.known(s.ann) > known
	})
	return x, publish
}

// known returns how many people somebody has met or read.
func (s *siege) known(d *desk) int {
	s.t.Helper()
	people, err := d.People(d.ctx)
	if err != nil {
		s.t.Fatal(err)
	}
	return len(people)
}

func (s *siege) live(e proto.Entry) []byte { return proto.EncodeLive(lobby.Tag(time.Now()), &e) }

func TestMalformedGossipMustNotBePassedOn(t *testing.T) {
	s := besiege(t)
	far := func(x *stranger, by time.Duration) proto.Entry {
		a := newAuthor(lobby, x.key, x.root)
		a.hlc = chat.HLCOf(time.Now().Add(by))
		return a.open()
	}
	for name, bad := range map[string]func(*siege, *stranger) []byte{
		"garbage":   func(*siege, *stranger) []byte { return garbage(300) },
		"oversized": func(*siege, *stranger) []byte { return garbage(proto.MaxLive + 1) },
		"badly signed": func(s *siege, x *stranger) []byte {
			e := newAuthor(lobby, x.key, x.root).open()
			e.Sig[0] ^= 1
			return s.live(e)
		},
		"payload of another": func(s *siege, x *stranger) []byte {
			e := newAuthor(lobby, x.key, x.root).open()
			e.Payload = garbage(len(e.Payload))
			return s.live(e)
		},
		"far future": func(s *siege, x *stranger) []byte { return s.live(far(x, chat.MaxFarFuture+time.Hour)) },
	} {
		s.each(name, func() {
			x, publish := s.gossiping()
			x.again(func() { publish(bad(s, x)); time.Sleep(time.Millisecond) })
			x.cutOff()
			if n := s.ben.Refused(); n != 0 {
				s.t.Errorf("Ben, who is behind Ann, had to refuse %d", n)
			}
			x.vanish()
			s.withstood()
		})
	}
}

func TestARelayMustNotBeBlamedForWhatItCouldNotSee(t *testing.T) {
	s := besiege(t)
	x, publish := s.gossiping()
	honest := newAuthor(lobby, newKey(), newKey()) // says nothing wrong, and its words are twisted
	opened := honest.open()
	e := honest.says("from elsewhere")
	publish(s.live(opened), s.live(e))
	s.ben.hears("from elsewhere") // through Ann
	twist := func() {
		twisted := proto.EncodeLive(chat.RoomTag(garbage(len(chat.RoomTag{}))), &e)
		other := newAuthor(chat.OpenRoom("#elsewhere"), newKey(), newKey()).open()
		publish(twisted, s.live(other))
	}
	for i := range 20 {
		twist()
		if i == 10 {
			s.talk(time.Second)
		}
	}
	// Gossip may lose any of them, so there are more until enough have come.
	pace := time.NewTicker(50 * time.Millisecond)
	defer pace.Stop()
	s.until("Ann has refused what was twisted", func() bool {
		select {
		case <-pace.C:
			twist()
		default:
		}
		return s.ann.Refused() > 5
	})
	s.talk(time.Second)
	if !hasPeer(s, s.ann, s.ben) {
		t.Error("the honest have cut each other off")
	}
	x.vanish()
	s.withstood()
}

// hasPeer reports whether a shows b as here.
func hasPeer(s *siege, a, b *desk) bool {
	people, err := a.People(a.ctx)
	if err != nil {
		s.t.Fatal(err)
	}
	for _, p := range people {
		if p.Name == b.Name() {
			return p.Presence == chat.Here
		}
	}
	return false
}

// authorRate and authorBurst are package node's: what one author's entries may take
// of the live path, a second and at once.
const authorRate, authorBurst = 500, 6000

// One author's flood gets no further than what one author may say. That is counted:
// how long it takes to read so many depends on the machine, how many there are does not.
func TestAnAuthorsFloodMustNotDrownOthers(t *testing.T) {
	if slowness > 1 {
		t.Skip("checking 10,000 signatures takes the race detector a minute")
	}
	s := besiege(t)
	x, publish := s.gossiping()
	a := newAuthor(lobby, x.key, x.root)
	batch := [][]byte{s.live(a.open())}
	for i := range 9999 {
		batch = append(batch, s.live(a.says(fmt.Sprint("spam ", i))))
	}
	start := time.Now()
	publish(batch...)
	s.talk(3 * time.Second) // behind what was let through
	known := s.known(s.ann)
	s.until("the whole flood is read, and somebody behind it", func() bool {
		publish(s.live(newAuthor(lobby, newKey(), newKey()).open()))
		return s.known(s.ann) > known
	})
	x.vanish()
	for _, d := range []*desk{s.ann, s.ben} {
		n := d.spam()
		if most := authorBurst + int(authorRate*time.Since(start).Seconds()); n == 0 || n > most {
			t.Errorf("%s holds %d messages of one author; it may be some, and %d at most", d.Name(), n, most)
		}
	}
	s.withstood()
}

// spam returns how much of a flood somebody holds.
func (d *desk) spam() (n int) {
	d.t.Helper()
	for page := (api.Page{Limit: 500}); ; {
		got, err := d.Messages(d.ctx, lobby, page)
		d.must(err)
		if len(got) == 0 {
			return n
		}
		for _, m := range got {
			if strings.HasPrefix(m.Text, "spam ") {
				n++
			}
		}
		page.Before = got[0].ID
	}
}

func TestACrowdOfAuthorsMustNotDrownOthers(t *testing.T) {
	s := besiege(t)
	x, publish := s.gossiping()
	for range 2000 {
		publish(s.live(newAuthor(lobby, newKey(), newKey()).open()))
	}
	s.until("most of them were read", func() bool { return s.known(s.ann) > 1000 })
	s.talk(3 * time.Second)
	x.vanish()
	s.withstood()
}

// catchUp opens a sync session that differs in the lobby, and hands over what
// Ann says first, before the stranger goes on.
func (x *stranger) catchUp(then func(tag []byte) []byte) {
	raw, err := x.Libp2p().NewStream(x.ann.ctx, host.PeerID(x.victim), syncProtocol)
	if err != nil {
		return
	}
	defer raw.Reset()
	nonce := garbage(proto.NonceSize)
	tag := lobby.SessionTag(nonce)
	compare := proto.Compare{Nonce: nonce, Rooms: []proto.RoomRoot{{Tag: tag[:], Root: garbage(32)}}}
	if _, err := raw.Write(append(frames(compare), then(tag[:])...)); err != nil {
		return
	}
	buf := make([]byte, 1<<16) // until Ann hangs up
	for err == nil {
		_, err = raw.Read(buf)
	}
}

func rawEntry(e proto.Entry) proto.RawEntry {
	return proto.RawEntry{Head: e.Head, Sig: e.Sig[:], Payload: e.Payload}
}

func TestADishonestSessionMustCostTheStanding(t *testing.T) {
	s := besiege(t)
	frontier := func(tag []byte) proto.Frontier { return proto.Frontier{Tag: tag} }
	for name, then := range map[string]func(x *stranger, tag []byte) []byte{
		"a second comparison": func(x *stranger, tag []byte) []byte {
			return frames(proto.Compare{Nonce: garbage(proto.NonceSize)})
		},
		"an endless frontier": func(x *stranger, tag []byte) []byte {
			return frames(proto.Frontier{Tag: tag, More: true})
		},
		"a frontier out of order": func(x *stranger, tag []byte) []byte {
			one := proto.Frontier{Tag: tag, Logs: []proto.LogHead{{Log: garbage(16), Seq: 1, Last: garbage(8)}}, More: true}
			return frames(one, one)
		},
		"gigantic counts": func(x *stranger, tag []byte) []byte {
			// An array of 2^32 logs is announced.
			body := []byte{byte(proto.TypeFrontier), 0xa2, 0x01, 0x50}
			body = append(append(body, tag...), 0x02, 0x9b, 0, 0, 0, 1, 0, 0, 0, 0)
			return frame(body)
		},
		"entries before the frontier": func(x *stranger, tag []byte) []byte {
			e := newAuthor(lobby, x.key, x.root).open()
			return frames(proto.Entries{Tag: tag, Entries: []proto.RawEntry{rawEntry(e)}})
		},
		"a bad signature": func(x *stranger, tag []byte) []byte {
			e := newAuthor(lobby, x.key, x.root).open()
			e.Sig[3] ^= 1
			return frames(frontier(tag), proto.Entries{Tag: tag, Entries: []proto.RawEntry{rawEntry(e)}})
		},
		"entries of another room": func(x *stranger, tag []byte) []byte {
			e := newAuthor(chat.OpenRoom("#elsewhere"), x.key, x.root).open()
			return frames(frontier(tag), proto.Entries{Tag: tag, Entries: []proto.RawEntry{rawEntry(e)}}, proto.Done{Sent: 1})
		},
		"one entry again and again": func(x *stranger, tag []byte) []byte {
			e := rawEntry(newAuthor(lobby, x.key, x.root).open())
			return frames(frontier(tag), proto.Entries{Tag: tag, Entries: []proto.RawEntry{e, e}})
		},
		"entries backwards": func(x *stranger, tag []byte) []byte {
			a := newAuthor(lobby, x.key, x.root)
			first := rawEntry(a.open())
			return frames(frontier(tag), proto.Entries{Tag: tag, Entries: []proto.RawEntry{rawEntry(a.says("two")), first}})
		},
		"a certificate of another": func(x *stranger, tag []byte) []byte {
			a := newAuthor(lobby, x.key, x.root)
			a.cert = newAuthor(lobby, newKey(), newKey()).cert
			return frames(frontier(tag), proto.Entries{Tag: tag, Entries: []proto.RawEntry{rawEntry(a.open())}}, proto.Done{Sent: 1})
		},
	} {
		s.each(name, func() {
			x := s.stranger(nil)
			x.again(func() { x.catchUp(func(tag []byte) []byte { return then(x, tag) }) })
			x.cutOff()
			x.vanish()
			s.withstood()
		})
	}
}

func TestWhoAnswersASessionBadlyMustNotBeAskedForEver(t *testing.T) {
	var asked atomic.Int64
	s := besiege(t)
	x := s.stranger(func(x *stranger) {
		x.Libp2p().SetStreamHandler(syncProtocol, func(raw network.Stream) {
			asked.Add(1)
			_, _ = raw.Write(frame(append([]byte{byte(proto.TypeCompare)}, garbage(100)...)))
			_ = raw.Close()
		})
	})
	raw := x.open(peerProtocol)
	nonce := garbage(proto.NonceSize)
	tag := lobby.SessionTag(nonce)
	have := proto.Have{Nonce: nonce, Rooms: []proto.RoomRoot{{Tag: tag[:], Root: garbage(32)}}}
	if _, err := raw.Write(frames(x.hello(), have)); err != nil {
		t.Fatal(err)
	}
	x.until("Ann has asked", func() bool { return asked.Load() > 0 })
	x.until("the answer was refused", func() bool { return s.ann.Refused() > 0 })
	for range 100 { // every hint of a difference would be another session
		if _, err := raw.Write(frames(have)); err != nil {
			break
		}
	}
	s.talk(time.Second)
	if n := asked.Load(); n > 2 {
		t.Errorf("Ann has asked %d times", n)
	}
	x.vanish()
	s.withstood()
}
