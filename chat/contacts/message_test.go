package contacts

import (
	"bytes"
	"crypto/ed25519"
	"encoding/hex"
	"encoding/json"
	"flag"
	"os"
	"strings"
	"testing"

	"earshot/chat"
	"earshot/chat/identity"
	"earshot/chat/wire"
)

var update = flag.Bool("update", false, "write the published vectors anew; the wire format changes with them")

func TestTheBytesOfContactMessages(t *testing.T) {
	a, b, _ := pair(t)
	request := a.must(Add{Person: b.id(), Note: "It's me ☂"})
	carry(a, b, request)
	accepted := b.must(Accept{Person: a.id()})
	withdrawn := a.must(Forget{Person: b.id()})
	type vector struct {
		Root, Device byte   // numbers of the sender's keys
		To           byte   // number of the recipient's root
		Message, ID  string // hex
	}
	var got []vector
	for i, s := range []Send{request[0], accepted[0], withdrawn[0]} {
		v := vector{1, 2, 3, hex.EncodeToString(s.Message), hex.EncodeToString(s.ID[:])}
		if i == 1 {
			v.Root, v.Device, v.To = 3, 4, 1
		}
		got = append(got, v)
	}
	const path = "../testdata/vectors/contacts.json"
	text, err := json.MarshalIndent(got, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	text = append(text, '\n')
	if *update {
		if err := os.WriteFile(path, text, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(text, want) {
		t.Errorf("got\n%s\nwant\n%s", text, want)
	}
	for i, v := range got {
		b, err := hex.DecodeString(v.Message)
		if err != nil {
			t.Fatal(err)
		}
		m, err := DecodeMessage(b)
		if err != nil || m.Verify() != nil || int(m.Kind) != i+1 || !bytes.Equal(m.Bytes(), b) {
			t.Errorf("%d: %+v %v", i, m, err)
		}
	}
	if first, err := DecodeMessage(request[0].Message); err != nil || first.Name != "Ann" || first.Note != "It's me ☂" || first.To != b.id() || first.From() != a.id() {
		t.Errorf("%+v %v", first, err)
	}
}

// Every bit of a message counts.
func TestAChangedMessageIsRefused(t *testing.T) {
	a, b, _ := pair(t)
	good := a.must(Add{Person: b.id(), Note: "hello"})[0].Message
	for i := range 8 * len(good) {
		bad := bytes.Clone(good)
		bad[i/8] ^= 1 << (i % 8)
		m, err := DecodeMessage(bad)
		if err == nil {
			err = m.Verify()
		}
		if chat.CodeOf(err) != chat.CodeInvalid {
			t.Fatalf("bit %d: %v", i, err)
		}
	}
}

func TestContactMessagesThatBreakTheRulesAreRefused(t *testing.T) {
	a, b, _ := pair(t)
	to := b.id()
	request := body{Kind: KindRequest, Certificate: a.cert.Bytes(), To: to[:], Nonce: make([]byte, NonceSize)}
	answer := body{Kind: KindAccepted, Certificate: a.cert.Bytes(), To: to[:], Request: make([]byte, 32), Chat: bytes.Repeat([]byte{7}, 32)}
	with := func(b body, f func(*body)) []byte {
		f(&b)
		return sign(a.cfg.Key, b)
	}
	for _, ok := range []body{request, answer} {
		if _, err := DecodeMessage(sign(a.cfg.Key, ok)); err != nil {
			t.Fatalf("the bad ones are built on this one: %v", err)
		}
	}
	raw := func(f func(*body)) []byte {
		b := request
		b.Version = version
		f(&b)
		return wire.Marshal(signed{Body: wire.Marshal(b), Sig: make([]byte, 64)})
	}
	for name, bad := range map[string][]byte{
		"nothing":                 nil,
		"too much":                make([]byte, MaxMessage+1),
		"no envelope":             wire.Marshal("x"),
		"no body":                 wire.Marshal(signed{Body: []byte{1}, Sig: make([]byte, 64)}),
		"a short signature":       wire.Marshal(signed{Body: wire.Marshal(request), Sig: make([]byte, 63)}),
		"another version":         raw(func(b *body) { b.Version = 2 }),
		"no kind":                 with(request, func(b *body) { b.Kind = 0 }),
		"no certificate":          with(request, func(b *body) { b.Certificate = nil }),
		"a short person":          with(request, func(b *body) { b.To = b.To[:19] }),
		"a short nonce":           with(request, func(b *body) { b.Nonce = b.Nonce[:15] }),
		"a request of a request":  with(request, func(b *body) { b.Request = make([]byte, 32) }),
		"a long name":             with(request, func(b *body) { b.Name = strings.Repeat("x", chat.MaxName+1) }),
		"a long note":             with(request, func(b *body) { b.Note = strings.Repeat("x", MaxNote+1) }),
		"an answer to nothing":    with(answer, func(b *body) { b.Request = nil }),
		"an answer with a note":   with(answer, func(b *body) { b.Note = "x" }),
		"an answer with a name":   with(answer, func(b *body) { b.Name = "x" }),
		"an answer with a nonce":  with(answer, func(b *body) { b.Nonce = make([]byte, NonceSize) }),
		"a withdrawal of nothing": with(answer, func(b *body) { b.Kind, b.Request, b.Chat = KindWithdrawn, nil, nil }),
		"a withdrawal to a chat":  with(answer, func(b *body) { b.Kind = KindWithdrawn }),
		"a request for a chat":    with(request, func(b *body) { b.Chat = answer.Chat }),
		"an answer without chat":  with(answer, func(b *body) { b.Chat = nil }),
		"an answer to no chat":    with(answer, func(b *body) { b.Chat = make([]byte, 32) }),
		"a short chat":            with(answer, func(b *body) { b.Chat = b.Chat[1:] }),
	} {
		if _, err := DecodeMessage(bad); chat.CodeOf(err) != chat.CodeInvalid {
			t.Errorf("%s: %v", name, err)
		}
		b.refusals = nil
		b.do(Receive{From: a.id(), Device: a.cert.Device, Message: bad})
		if len(b.refusals) != 1 || b.refusals[0].From != a.cert.Device || b.Relation(a.id()) != Stranger {
			t.Errorf("%s: %v", name, b.refusals)
		}
	}
	b.refusals = nil
	b.do(Receive{From: a.id(), Device: a.cert.Device, Message: with(request, func(b *body) { b.Kind = 99 })})
	if len(b.refusals) != 0 {
		t.Error("a kind of the future is refused")
	}
	// A name that hides something is shown as any other name.
	b.do(Receive{From: a.id(), Device: a.cert.Device, Message: with(request, func(b *body) { b.Name = "\u202eEve\n" })})
	if len(b.tray) != 1 || b.tray[0].Name != "Eve" {
		t.Errorf("%+v", b.tray)
	}
}

func TestMessagesOfAnotherAreRefused(t *testing.T) {
	a, b, now := pair(t)
	eve := newNode(t, now, 9, "Eve")
	carry(a, b, a.must(Add{Person: b.id()}))
	own := a.sends[0].Message
	// What Bob would answer.
	answered := b.Record(a.id())
	answered.Chat = answered.Request
	// A certificate of Ann's root that Ann has not signed.
	root := func(b byte) []byte { return keyOf(b).Public().(ed25519.PublicKey) }
	stolen, err := identity.Parse(bytes.Replace(eve.cert.Bytes(), root(9), root(1), 1))
	if err != nil || stolen.Person() != a.id() {
		t.Fatal(err)
	}
	to := b.id()
	request := func(cert []byte) []byte {
		return sign(eve.cfg.Key, body{Kind: KindRequest, Certificate: cert, To: to[:], Nonce: make([]byte, NonceSize)})
	}
	for name, in := range map[string]Receive{
		"passed on by a third":         {From: eve.id(), Device: eve.cert.Device, Message: own},
		"by another device":            {From: a.id(), Device: eve.cert.Device, Message: own},
		"as another person":            {From: a.id(), Device: eve.cert.Device, Message: request(eve.cert.Bytes())},
		"under another's certificate":  {From: a.id(), Device: a.cert.Device, Message: request(a.cert.Bytes())},
		"under a forged certificate":   {From: a.id(), Device: eve.cert.Device, Message: request(stolen.Bytes())},
		"its own, sent back (as Eve)":  {From: eve.id(), Device: eve.cert.Device, Message: b.answer(KindAccepted, answered)},
		"an answer with another's key": {From: a.id(), Device: a.cert.Device, Message: b.answer(KindAccepted, answered)},
	} {
		before := b.Records()
		b.refusals = nil
		b.do(in)
		if len(b.refusals) != 1 || b.refusals[0].From != in.Device || chat.CodeOf(b.refusals[0].Err) != chat.CodeInvalid {
			t.Errorf("%s: %v", name, b.refusals)
		}
		if len(b.Records()) != len(before) {
			t.Errorf("%s: it changed something", name)
		}
	}
	// One's own request, reflected: it is to another.
	a.refusals = nil
	a.do(Receive{From: b.id(), Device: b.cert.Device, Message: own})
	if len(a.refusals) != 1 {
		t.Error("a reflected request is taken")
	}
	a.is(b, Requested)
	// From another device of one's own nothing is asked.
	a.do(Receive{From: a.id(), Device: chat.DeviceID{1}, Message: own})
	a.do(Met{Person: a.id(), Device: chat.DeviceID{1}, Name: "Ann"})
	if a.Relation(a.id()) != Stranger || len(a.Records()) != 1 {
		t.Error("a relation to oneself")
	}
	// A signature of an answer is none of a request.
	as := func(k Kind) []byte { return k.domain() }
	if bytes.Equal(as(KindRequest), as(KindAccepted)) {
		t.Error("one domain for two things")
	}
}

func FuzzDecodeMessage(f *testing.F) {
	a, b, _ := pair(f)
	request := a.must(Add{Person: b.id(), Note: "hello"})
	carry(a, b, request)
	f.Add(request[0].Message)
	f.Add(b.must(Accept{Person: a.id()})[0].Message)
	f.Add(a.must(Forget{Person: b.id()})[0].Message)
	f.Fuzz(func(t *testing.T, in []byte) {
		m, err := DecodeMessage(in)
		if err != nil {
			if chat.CodeOf(err) != chat.CodeInvalid {
				t.Fatalf("error without code: %v", err)
			}
			return
		}
		if !bytes.Equal(m.Bytes(), in) || m.Kind == 0 || len([]rune(m.Note)) > MaxNote {
			t.Fatalf("%+v", m)
		}
		_ = m.Verify() // must not panic
		if len(plainNote(m.Note)) > 2*maxNoteBytes {
			t.Fatalf("a note grows to %d bytes", len(plainNote(m.Note)))
		}
	})
}
