package contacts

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/binary"
	"reflect"
	"testing"
	"time"

	"earshot/chat"
	"earshot/chat/identity"
)

var noon = time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)

// keyOf returns the key whose seed is 32 times b.
func keyOf(b byte) ed25519.PrivateKey {
	return ed25519.NewKeyFromSeed(bytes.Repeat([]byte{b}, ed25519.SeedSize))
}

func deviceOf(k ed25519.PrivateKey) chat.DeviceID {
	return chat.DeviceID(k.Public().(ed25519.PublicKey))
}

// node is an engine with what it has asked for.
type node struct {
	*Engine
	t        testing.TB
	now      *time.Time
	cert     identity.Certificate
	name     string
	stored   map[chat.PersonID]Record
	sends    []Send
	tray     []Record
	claims   []Claim
	refusals []Refuse
	confirms []Confirm
	denied   error
	effects  int
}

// clock is shared by the nodes of a test.
func clock() *time.Time {
	now := noon
	return &now
}

// newNode returns a person whose root has the seed byte b and whose device has b+1.
func newNode(t testing.TB, now *time.Time, b byte, name string) *node {
	t.Helper()
	return newNodeOf(t, now, keyOf(b), keyOf(b+1), name)
}

func newNodeOf(t testing.TB, now *time.Time, root, key ed25519.PrivateKey, name string) *node {
	t.Helper()
	cert, err := identity.Sign(root, deviceOf(key), noon, "")
	if err != nil {
		t.Fatal(err)
	}
	n := byte(0)
	return &node{
		t: t, now: now, cert: cert, name: name, stored: map[chat.PersonID]Record{},
		Engine: New(Config{Key: key, Certificate: cert, Name: name, NewNonce: func() (out [NonceSize]byte) {
			n++
			out[0] = n
			return out
		}}),
	}
}

func (n *node) id() chat.PersonID { return n.cert.Person() }

// do handles an input and returns what is sent by it.
func (n *node) do(in Input) []Send {
	n.t.Helper()
	n.denied = nil
	var out []Send
	effects := n.Handle(*n.now, in)
	n.effects += len(effects)
	for _, f := range effects {
		switch f := f.(type) {
		case Persist:
			if f.Record.Kept() {
				n.stored[f.Record.Person] = f.Record
			} else {
				delete(n.stored, f.Record.Person)
			}
		case Send:
			out = append(out, f)
		case Confirm:
			n.confirms = append(n.confirms, f)
		case Tray:
			n.tray = f.Requests
		case Claim:
			n.claims = append(n.claims, f)
		case Refuse:
			n.refusals = append(n.refusals, f)
		case Deny:
			n.denied = f.Err
		}
	}
	n.sends = append(n.sends, out...)
	if len(effects) > 0 || len(n.stored) < 4 {
		n.check()
	}
	return out
}

// check compares what is stored with what the engine holds, and its bounds.
func (n *node) check() {
	n.t.Helper()
	records := n.Records()
	if len(records) != len(n.stored) {
		n.t.Fatalf("%d records, %d stored", len(records), len(n.stored))
	}
	for i, r := range records {
		if i > 50 {
			break // the square of many takes long
		}
		if !reflect.DeepEqual(r, n.stored[r.Person]) {
			n.t.Fatalf("held\n%+v, stored\n%+v", r, n.stored[r.Person])
		}
	}
	if tray := n.Tray(); len(tray) > MaxTray || len(tray) != len(n.tray) || len(tray) != n.asking {
		n.t.Fatalf("a tray of %d, shown %d, counted %d", len(tray), len(n.tray), n.asking)
	}
}

// must handles what this person decides, which must not be denied.
func (n *node) must(in Input) []Send {
	n.t.Helper()
	out := n.do(in)
	if n.denied != nil {
		n.t.Fatalf("%T: %v", in, n.denied)
	}
	return out
}

// cannot handles what this person decides, which must be denied with this code.
func (n *node) cannot(code chat.Code, in Input) {
	n.t.Helper()
	n.do(in)
	if chat.CodeOf(n.denied) != code {
		n.t.Fatalf("%T: %v, want %s", in, n.denied, code)
	}
}

func (n *node) is(p *node, want Relation) {
	n.t.Helper()
	if got := n.Relation(p.id()); got != want {
		n.t.Fatalf("%s is to %s a %s, not a %s", p.name, n.name, got, want)
	}
}

// meet lets two nodes connect, and carries what they then send.
func meet(a, b *node) {
	a.t.Helper()
	sends := a.do(Met{Person: b.id(), Device: b.cert.Device, Name: b.name})
	carry(a, b, sends)
	carry(b, a, b.do(Met{Person: a.id(), Device: a.cert.Device, Name: a.name}))
}

// read hands over a message, and returns the answers and whether it was confirmed.
func (n *node) read(from *node, s Send) (answers []Send, confirmed bool) {
	n.t.Helper()
	m, err := DecodeMessage(s.Message)
	if err != nil {
		n.t.Fatal(err)
	}
	n.confirms = nil
	answers = n.do(Receive{From: from.id(), Device: from.cert.Device, Message: s.Message})
	for _, c := range n.confirms {
		if c != (Confirm{Device: from.cert.Device, ID: m.ID}) {
			n.t.Fatalf("confirmed to another, or another message: %+v", c)
		}
	}
	return answers, len(n.confirms) == 1
}

func part(a, b *node) {
	a.do(Left{Person: b.id(), Device: b.cert.Device})
	b.do(Left{Person: a.id(), Device: a.cert.Device})
}

// carry gives what from has sent to to, and their answers back.
func carry(from, to *node, sends []Send) {
	from.t.Helper()
	for _, s := range sends {
		if s.Person != to.id() || s.Device != to.cert.Device {
			from.t.Fatalf("sent to another: %+v", s)
		}
		answers, confirmed := to.read(from, s)
		if confirmed {
			from.do(Delivered{Person: to.id(), ID: s.ID})
		}
		carry(to, from, answers)
	}
}

// pair returns two nodes that have met.
func pair(t testing.TB) (*node, *node, *time.Time) {
	now := clock()
	a, b := newNode(t, now, 1, "Ann"), newNode(t, now, 3, "Bob")
	meet(a, b)
	return a, b, now
}

// friends returns two contacts.
func friends(t testing.TB) (*node, *node, *time.Time) {
	a, b, now := pair(t)
	carry(a, b, a.must(Add{Person: b.id()}))
	carry(b, a, b.must(Accept{Person: a.id()}))
	a.is(b, Contact)
	b.is(a, Contact)
	return a, b, now
}

// stranger returns a message of a person made of a number, and who that is.
func stranger(to chat.PersonID, i int) Receive {
	seed := sha256.Sum256(binary.BigEndian.AppendUint64([]byte("stranger"), uint64(i)))
	root := ed25519.NewKeyFromSeed(seed[:])
	seed = sha256.Sum256(seed[:])
	key := ed25519.NewKeyFromSeed(seed[:])
	cert, err := identity.Sign(root, deviceOf(key), noon, "")
	if err != nil {
		panic(err)
	}
	return Receive{From: cert.Person(), Device: cert.Device, Message: sign(key, body{
		Kind: KindRequest, Certificate: cert.Bytes(), To: to[:], Nonce: make([]byte, NonceSize), Name: "Eve",
	})}
}
