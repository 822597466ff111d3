package sim

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/protocol"

	"earshot/chat"
	"earshot/chat/courier"
	proto "earshot/chat/wire"
)

// What strangers may do with envelopes.

const courierProtocol protocol.ID = "/earshot/courier/1"

// envelope makes one of the stranger's, for a room that nobody else knows.
func (x *stranger) envelope(n int) courier.Envelope {
	x.t.Helper()
	content := proto.Marshal(proto.Packet{Entries: []proto.RawEntry{{Head: []byte("head"), Sig: []byte("sig"), Payload: fmt.Append(nil, "number ", n)}}})
	d := courier.Depositor{Key: x.key, Certificate: x.cert, Random: rand.Reader}
	env, err := d.Seal(time.Now(), courier.Room{ID: chat.RoomID{1}, With: x.person()}, x.person(), content)
	if err != nil {
		x.t.Fatal(err)
	}
	return env
}

// greets has the stranger introduce itself and stay.
func (x *stranger) greets() {
	x.t.Helper()
	raw := x.open(peerProtocol)
	if _, err := raw.Write(frames(x.hello())); err != nil {
		x.t.Fatal(err)
	}
	x.until("Ann knows the stranger", func() bool {
		p, ok := x.ann.knows(x.person())
		return ok && p.Presence == chat.Here
	})
}

func TestAStrangerMustNotLeaveMoreThanItsQuota(t *testing.T) {
	s := besiege(t)
	x := s.stranger(nil)
	x.greets()
	var all [][]byte
	for i := range 30 {
		env := x.envelope(i)
		all = append(all, frames(proto.Deposit{Envelope: env.Bytes()}))
	}
	x.openAndSend(courierProtocol, all...)
	s.ann.holdsEnvelopes(courier.StrangerQuota)
	// Nor under another's name, of whom it holds an envelope.
	y := s.stranger(nil)
	y.greets()
	mine, theirs := y.envelope(0), x.envelope(31)
	y.openAndSend(courierProtocol, frames(proto.Deposit{Envelope: theirs.Bytes()}, proto.Deposit{Envelope: mine.Bytes()}))
	s.ann.holdsEnvelopes(courier.StrangerQuota + 1)
	if n := s.ann.Refused() - y.refused; n != 1 {
		t.Errorf("%d refusals were counted", n)
	}
	x.vanish()
	y.vanish()
	s.withstood()
}

func TestBrokenEnvelopesMustNotBeBorne(t *testing.T) {
	s := besiege(t)
	forged := func(x *stranger) []byte { // with a signature that is not the depositor's
		env := x.envelope(1)
		b := bytes.Clone(env.Bytes())
		b[len(b)-1] ^= 1
		return frames(proto.Deposit{Envelope: b})
	}
	id, secret := garbage(proto.EnvelopeIDSize), garbage(proto.EnvelopeProof)
	for name, attack := range map[string]func(*stranger) []byte{
		"garbage":             func(*stranger) []byte { return frame(append([]byte{byte(proto.TypeDeposit)}, garbage(200)...)) },
		"no envelope":         func(*stranger) []byte { return frames(proto.Deposit{Envelope: garbage(1000)}) },
		"forged":              forged,
		"a frame from afar":   func(x *stranger) []byte { return frames(x.hello()) },
		"an offered secret":   func(*stranger) []byte { return frames(proto.Taken{ID: id, Secret: secret[1:]}) },
		"a frame of sessions": func(*stranger) []byte { return frames(proto.Done{}) },
	} {
		s.each(name, func() {
			x := s.stranger(nil)
			x.greets()
			x.again(func() { x.openAndSend(courierProtocol, attack(x)) })
			x.cutOff()
			s.ann.holdsEnvelopes(0)
			x.vanish()
			s.withstood()
		})
	}
}

func TestAFloodAboutEnvelopesMustNotEatTheLoop(t *testing.T) {
	s := besiege(t)
	x := s.stranger(nil)
	x.greets()
	seek := proto.Seek{Tags: garbage(proto.MaxSought * proto.EnvelopeTagSize)}
	tags := proto.Announce{Tags: garbage(proto.MaxAnnounced * proto.EnvelopeTagSize), Keeper: true}
	flood := bytes.Repeat(frames(tags, seek, proto.Answer{ID: garbage(16), Says: proto.AnswerKept}), 20)
	raw := x.open(courierProtocol)
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			if _, err := raw.Write(flood); err != nil {
				return
			}
		}
	})
	s.talk(time.Second) // while it lasts
	s.talk(time.Second)
	x.vanish()
	wg.Wait()
	s.withstood()
}

func TestAWithheldHelloMustNotBeMadeUpForByACourierStream(t *testing.T) {
	s := besiege(t)
	befriend(s.ann, s.ben)
	p, err := s.ann.Privacy(s.ann.ctx)
	s.ann.must(err)
	p.Nearby = chat.OnlyContacts
	s.ann.must(s.ann.SetPrivacy(s.ann.ctx, p))
	x := s.stranger(nil)
	env := x.envelope(1)
	x.openAndSend(courierProtocol, frames(proto.Deposit{Envelope: env.Bytes()}))
	s.talk(time.Second)
	s.ann.holdsEnvelopes(0)
	x.vanish()
}
