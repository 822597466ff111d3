package sim

import (
	"encoding/binary"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/network"

	"earshot/chat"
	"earshot/chat/contacts"
	"earshot/chat/identity"
	proto "earshot/chat/wire"
)

// What strangers may do to somebody's tray, and to who may know that they are here.

// person returns who a stranger is.
func (x *stranger) person() chat.PersonID { return x.cert.Person() }

// request returns a contact request of a stranger to Ann, each time another.
func (x *stranger) request(name, note string) []byte {
	x.t.Helper()
	engine := contacts.New(contacts.Config{
		Key: x.key, Certificate: x.cert, Name: name,
		NewNonce: func() (n [contacts.NonceSize]byte) { copy(n[:], garbage(len(n))); return n },
	})
	now := time.Now()
	engine.Handle(now, contacts.Met{Person: x.ann.id(), Device: x.victim, Name: "Ann"})
	for _, ef := range engine.Handle(now, contacts.Add{Person: x.ann.id(), Note: note}) {
		if send, ok := ef.(contacts.Send); ok {
			return send.Message
		}
	}
	x.t.Fatal("no request was made")
	return nil
}

// tray returns the requests that Ann is shown.
func (d *desk) tray() (out []chat.Contact) {
	d.t.Helper()
	list, err := d.Contacts(d.ctx)
	d.must(err)
	for _, c := range list {
		if c.Relation == chat.RelationAsking {
			out = append(out, c)
		}
	}
	return out
}

func TestAFloodOfRequestsMustNotFillMoreThanTheTray(t *testing.T) {
	s := besiege(t)
	identities := 200 // with 50 requests each: the hosts of more would cost this process what is measured
	if testing.Short() {
		identities = 60
	}
	for i := range identities {
		x := s.stranger(nil)
		out := [][]byte{frames(x.hello())}
		for j := range 50 {
			out = append(out, frames(proto.Contact{Message: x.request(fmt.Sprint("Mallory ", i), fmt.Sprint("request ", j))}))
		}
		raw := x.open(peerProtocol)
		for _, b := range out {
			if _, err := raw.Write(b); err != nil {
				break // it is cut off, as it should be
			}
		}
		// What was sent is read before the connection ends, or not: a flood does not wait.
		if i < 30 {
			s.until("the tray is full, or their first request in it", func() bool {
				return len(s.ann.tray()) == min(i+1, contacts.MaxTray)
			})
		}
		x.vanish()
	}
	tray := s.ann.tray()
	if len(tray) != contacts.MaxTray {
		t.Errorf("%d requests wait", len(tray))
	}
	for _, c := range tray {
		if c.Note != "request 0" {
			t.Errorf("a request was made a conversation of: %q", c.Note)
		}
	}
	s.withstood()
}

func TestARequestInAnothersNameMustNotBeTaken(t *testing.T) {
	s := besiege(t)
	x, y := s.stranger(nil), s.stranger(nil)
	message := y.request("Mallory", "")
	x.again(func() {
		x.openAndSend(peerProtocol, frames(x.hello()), frames(proto.Contact{Message: message}), frames(proto.Contact{Message: garbage(200)}))
	})
	x.cutOff()
	if tray := s.ann.tray(); len(tray) != 0 {
		t.Errorf("the tray holds %+v", tray)
	}
	x.vanish()
	y.vanish()
	s.withstood()
}

// A device of a blocked person that nobody has seen before learns nothing either,
// if it is an honest one: who may be theirs speaks first.
func TestANewDeviceOfABlockedPersonMustNotBeGreeted(t *testing.T) {
	s := besiege(t)
	root := newKey()
	own := func(x *stranger) {
		x.root = root
		var err error
		if x.cert, err = identity.Sign(root, deviceOf(x.key), time.Now(), ""); err != nil {
			t.Fatal(err)
		}
	}
	first := s.stranger(own)
	raw := first.open(peerProtocol)
	if _, err := raw.Write(frames(first.hello())); err != nil {
		t.Fatal(err)
	}
	s.ann.sees("Mallory", chat.Here)
	s.ann.must(s.ann.BlockPerson(s.ann.ctx, first.person()))
	first.until("the first device is shut out", func() bool { return !first.connected() })
	first.vanish()
	second := s.stranger(own)
	raw = second.open(peerProtocol)
	if _, err := raw.Write(frames(second.hello())); err != nil {
		t.Fatal(err)
	}
	said := readFrames(raw)
	for _, f := range said {
		if _, knock := f.(proto.Knock); !knock {
			t.Errorf("it was told %#v", f)
		}
	}
	second.until("the second device is shut out", func() bool { return !second.connected() })
	_ = second.dial()
	second.until("it is not let in again", func() bool { return !second.connected() })
	if p, _ := s.ann.knows(second.person()); p.Presence != chat.Gone {
		t.Errorf("Ann sees %+v", p)
	}
	second.vanish()
	s.withstood()
}

// Who is not told who is here can't have it by asking for a session.
func TestASessionMustNotTellAStrangerWhatAHelloDoesNot(t *testing.T) {
	s := besiege(t)
	s.ann.must(s.ann.SetPrivacy(s.ann.ctx, visible(chat.OnlyContacts)))
	x := s.stranger(nil)
	raw := x.open(peerProtocol)
	if _, err := raw.Write(frames(x.hello())); err != nil {
		t.Fatal(err)
	}
	s.ann.sees("Mallory", chat.Here)
	nonce := garbage(proto.NonceSize)
	tag := lobby.SessionTag(nonce)
	session := x.open(syncProtocol)
	if _, err := session.Write(frames(proto.Compare{Nonce: nonce, Rooms: []proto.RoomRoot{{Tag: tag[:], Root: garbage(32)}}})); err != nil {
		t.Fatal(err)
	}
	if got := readFrames(session); len(got) != 0 {
		t.Errorf("it was told %#v", got)
	}
	_ = raw.SetReadDeadline(time.Now().Add(200 * time.Millisecond))
	for _, f := range readFrames(raw) {
		if _, knock := f.(proto.Knock); !knock {
			t.Errorf("it was told %#v", f)
		}
	}
	s.ann.must(s.ann.SetPrivacy(s.ann.ctx, visible(chat.Everyone)))
	s.ben.sees("Ann", chat.Here)
	x.vanish()
	s.withstood()
}

// What contacts may send, a stranger may not: nothing of it reaches the person.
func TestNothingButARequestMustReachTheTrayOfAStranger(t *testing.T) {
	s := besiege(t)
	x := s.stranger(nil)
	raw := x.open(peerProtocol)
	if _, err := raw.Write(frames(x.hello())); err != nil {
		t.Fatal(err)
	}
	s.ann.sees("Mallory", chat.Here)
	direct := chat.DirectRoom(x.person(), s.ann.id(), [32]byte(garbage(32)))
	tag := direct.Tag(time.Now())
	if _, err := raw.Write(frames(
		proto.Verify{Message: proto.Marshal(map[int]any{1: 1, 2: garbage(32)})},
		proto.Typing{Room: tag[:], Typing: true},
		proto.OpsHave{Room: garbage(32), Root: garbage(32)},
		proto.Contact{Message: x.request("Mallory", "it's me")},
	)); err != nil {
		t.Fatal(err)
	}
	id := x.person()
	s.ann.never("something of a stranger", func(e chat.Event) bool {
		switch e := e.(type) {
		case chat.VerificationEvent, chat.InvitationEvent, chat.MessageEvent:
			return true
		case chat.TypingEvent:
			return e.From.Person == id
		}
		return false
	}, func(e chat.Event) bool {
		c, ok := e.(chat.ContactEvent)
		return ok && c.Person.Person == id && c.Relation == chat.RelationAsking && strings.Contains(c.Note, "it's me")
	})
	if list, err := s.ann.Invitations(s.ann.ctx); err != nil || len(list) != 0 {
		t.Errorf("Ann is invited to %+v (%v)", list, err)
	}
	x.vanish()
	s.withstood()
}

// readFrames returns what comes on a stream until it ends.
func readFrames(raw network.Stream) (out []proto.Frame) {
	for {
		f, err := readFrame(raw)
		if err != nil {
			return out
		}
		out = append(out, f)
	}
}

func readFrame(raw network.Stream) (proto.Frame, error) {
	var head [4]byte
	if _, err := io.ReadFull(raw, head[:]); err != nil {
		return nil, err
	}
	body := make([]byte, binary.BigEndian.Uint32(head[:]))
	if _, err := io.ReadFull(raw, body); err != nil {
		return nil, err
	}
	return proto.DecodeFrame(body)
}

// A contact's device says, in the middle of a comparison, that it is somebody else's.
func TestADeviceThatGoesOverMustNotTakeAComparisonAlong(t *testing.T) {
	s := besiege(t)
	x := s.stranger(nil)
	who := x.person()
	raw := x.open(peerProtocol)
	say := func(f proto.Frame) {
		t.Helper()
		if _, err := raw.Write(frames(f)); err != nil {
			t.Fatal(err)
		}
	}
	say(x.hello())
	say(proto.Contact{Message: x.request("Mallory", "")})
	s.until("they have asked", func() bool { return len(s.ann.tray()) == 1 })
	s.ann.must(s.ann.AcceptContact(s.ann.ctx, who))
	say(proto.Verify{Message: proto.Marshal(struct {
		Version uint8  `cbor:"1,keyasint"`
		Commit  []byte `cbor:"2,keyasint"`
	}{1, garbage(32)})})
	s.until("they want to compare", func() bool {
		v, err := s.ann.Verification(s.ann.ctx, who)
		return err == nil && v.State == chat.VerificationAsked
	})
	cert, err := identity.Sign(newKey(), deviceOf(x.key), time.Now(), "")
	if err != nil {
		t.Fatal(err)
	}
	x.cert = cert
	x.openAndSend(peerProtocol, frames(x.hello()))
	s.until("the device is another's", func() bool {
		p, err := s.ann.FindPerson(s.ann.ctx, x.person().String())
		return err == nil && p.Presence == chat.Here
	})
	if v, err := s.ann.StartVerification(s.ann.ctx, who); err != nil || v.State != chat.VerificationEnded {
		t.Errorf("Ann compares with another key: %+v (%v)", v, err)
	}
	x.vanish()
	s.withstood()
}
