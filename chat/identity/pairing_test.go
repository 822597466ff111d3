package identity

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"earshot/chat"
)

// laptop shows the code; phone is new.
var laptop, phone = device(2), device(5)

func show(t testing.TB) (*Pairing, string) {
	t.Helper()
	p, err := ShowCode(issued, seeded("laptop"), sign(t, "laptop"))
	if err != nil {
		t.Fatal(err)
	}
	return p, p.Code(issued)
}

func enter(t testing.TB, code string) (*Pairing, []byte) {
	t.Helper()
	p, hello, err := EnterCode(issued, seeded("phone"), phone, laptop, code, "phone")
	if err != nil {
		t.Fatal(err)
	}
	return p, hello
}

func pass(t testing.TB, p *Pairing, from chat.DeviceID, message []byte) []byte {
	t.Helper()
	reply, err := p.Receive(issued, from, message)
	if err != nil {
		t.Fatal(err)
	}
	return reply
}

func TestTheTranscriptOfAPairing(t *testing.T) {
	old, code := show(t)
	young, hello := enter(t, code)
	reply := pass(t, old, phone, hello)
	if _, ok := old.Paired(); ok || old.Code(issued) != "" {
		t.Error("paired before the new device has proved the code, or the code is shown on")
	}
	confirm := pass(t, young, laptop, reply)
	if last := pass(t, old, phone, confirm); last != nil {
		t.Errorf("an answer to the last: %x", last)
	}
	a, ok := old.Paired()
	b, also := young.Paired()
	if !ok || !also || a.Key != b.Key || a.New != phone || b.New != phone || a.Label != "phone" || b.Label != "phone" ||
		a.By.Device != laptop || b.By.Person() != Person(public(1)) || a.Key == [32]byte{} {
		t.Errorf("%+v\n%+v", a, b)
	}
	type vector struct {
		Code                  string
		Hello, Reply, Confirm hexBytes
		Key                   hexBytes
	}
	published(t, "pairing.json", vector{code, hello, reply, confirm, a.Key[:]})
	for _, m := range [][]byte{hello, reply, confirm} {
		if len(m) > MaxPairingMessage {
			t.Errorf("a message of %d bytes", len(m))
		}
	}
	if _, err := old.Receive(issued, phone, confirm); err == nil {
		t.Error("a message after the last is taken")
	}
	if _, ok := old.Paired(); !ok {
		t.Error("a message after the last undoes the pairing")
	}
}

func TestACodeIsTriedOnce(t *testing.T) {
	old, code := show(t)
	wrong := "0000 0000"
	if code == wrong {
		t.Fatal("choose another seed")
	}
	young, hello := enter(t, wrong)
	reply := pass(t, old, phone, hello)
	if _, err := young.Receive(issued, laptop, reply); chat.CodeOf(err) != chat.CodeDenied {
		t.Errorf("the new device takes a wrong code: %v", err)
	}
	if _, ok := young.Paired(); ok {
		t.Error("paired by a wrong code")
	}
	_, again := enter(t, code)
	if _, err := old.Receive(issued, phone, again); err == nil {
		t.Error("a second try at one code")
	}
	if _, err := old.Receive(issued, phone, again); err == nil || old.Code(issued) != "" {
		t.Error("a code that has been tried is still there")
	}
}

func TestAGuesserLearnsNothingAndEndsTheCode(t *testing.T) {
	old, _ := show(t)
	_, hello := enter(t, "1234 5678")
	pass(t, old, phone, hello)
	guess := must(encMode.Marshal(pairConfirm{Tag: make([]byte, tagSize)}))
	if _, err := old.Receive(issued, phone, guess); chat.CodeOf(err) != chat.CodeDenied {
		t.Errorf("a guess: %v", err)
	}
	if _, ok := old.Paired(); ok || old.run != nil || !bytes.Equal(old.code, make([]byte, codeDigits)) {
		t.Error("paired, or secrets are kept")
	}
}

// Whoever passes messages on between two devices that do not talk to each other
// gets nothing: each side binds whom it talks to.
func TestPairingIsNotRelayed(t *testing.T) {
	old, code := show(t)
	mallory := device(8)
	young, hello, err := EnterCode(issued, seeded("phone"), phone, mallory, code, "phone")
	if err != nil {
		t.Fatal(err)
	}
	reply := pass(t, old, mallory, hello)
	if _, err := young.Receive(issued, mallory, reply); chat.CodeOf(err) != chat.CodeInvalid {
		t.Errorf("the certificate of another device: %v", err)
	}
	// With a certificate of her own she still does not know the code.
	own, err := Sign(key(9), mallory, issued, "")
	if err != nil {
		t.Fatal(err)
	}
	young, hello, err = EnterCode(issued, seeded("phone"), phone, mallory, code, "phone")
	if err != nil {
		t.Fatal(err)
	}
	old, _ = show(t)
	var in pairReply
	if err := strict("", pass(t, old, mallory, hello), &in); err != nil {
		t.Fatal(err)
	}
	in.Certificate = own.Bytes()
	if _, err := young.Receive(issued, mallory, must(encMode.Marshal(in))); chat.CodeOf(err) != chat.CodeDenied {
		t.Errorf("relayed: %v", err)
	}
}

func TestAPairingMessageSentBackIsRefused(t *testing.T) {
	old, code := show(t)
	young, hello := enter(t, code)
	if _, err := young.Receive(issued, laptop, hello); chat.CodeOf(err) != chat.CodeInvalid {
		t.Errorf("its own hello: %v", err)
	}
	young, hello = enter(t, code)
	reply := pass(t, old, phone, hello)
	if _, err := old.Receive(issued, phone, reply); chat.CodeOf(err) != chat.CodeInvalid {
		t.Errorf("its own reply: %v", err)
	}
	// A share sent back would make both sides the same.
	mirror := must(encMode.Marshal(pairReply{Share: young.run.share, Certificate: sign(t, "laptop").Bytes(), Tag: make([]byte, tagSize)}))
	if _, err := young.Receive(issued, laptop, mirror); chat.CodeOf(err) != chat.CodeInvalid {
		t.Errorf("its own share: %v", err)
	}
	old, _ = show(t)
	if _, err := old.Receive(issued, laptop, hello); chat.CodeOf(err) != chat.CodeInvalid {
		t.Errorf("itself: %v", err)
	}
}

func TestAnOldPairingIsNotReplayed(t *testing.T) {
	old, code := show(t)
	young, hello := enter(t, code)
	confirm := pass(t, young, laptop, pass(t, old, phone, hello))
	later, err := ShowCode(issued, seeded("later"), sign(t, "laptop"))
	if err != nil {
		t.Fatal(err)
	}
	pass(t, later, phone, hello)
	if _, err := later.Receive(issued, phone, confirm); chat.CodeOf(err) != chat.CodeDenied {
		t.Errorf("replayed: %v", err)
	}
}

func TestPairingMessagesThatBreakTheRulesEndIt(t *testing.T) {
	_, code := show(t)
	_, hello := enter(t, code)
	var good pairHello
	if err := strict("", hello, &good); err != nil {
		t.Fatal(err)
	}
	with := func(f func(*pairHello)) []byte {
		h := good
		f(&h)
		return must(encMode.Marshal(h))
	}
	for name, bad := range map[string][]byte{
		"nothing":           nil,
		"too much":          make([]byte, MaxPairingMessage+1),
		"bytes behind":      append(bytes.Clone(hello), 0),
		"another version":   with(func(h *pairHello) { h.Version = 2 }),
		"a short session":   with(func(h *pairHello) { h.Session = h.Session[:15] }),
		"a short share":     with(func(h *pairHello) { h.Share = h.Share[:31] }),
		"a low order share": with(func(h *pairHello) { h.Share = make([]byte, 32) }),
		"a long label":      with(func(h *pairHello) { h.Label = strings.Repeat("x", MaxLabel+1) }),
		"a null":            {0xf6}, // crashed another implementation
	} {
		old, _ := show(t)
		if _, err := old.Receive(issued, phone, bad); chat.CodeOf(err) != chat.CodeInvalid {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := old.Receive(issued, phone, hello); err == nil {
			t.Errorf("%s: it goes on", name)
		}
	}
	old, code := show(t)
	young, hello := enter(t, code)
	confirm := pass(t, young, laptop, pass(t, old, phone, hello))
	if _, err := old.Receive(issued, device(8), confirm); chat.CodeOf(err) != chat.CodeInvalid {
		t.Errorf("a third device: %v", err)
	}
	old, _ = show(t)
	if _, err := old.Receive(issued.Add(PairingLife+1), phone, hello); chat.CodeOf(err) != chat.CodeUnreachable || old.Code(issued) != "" {
		t.Errorf("too late: %v", err)
	}
	old, _ = show(t)
	if old.Code(issued.Add(PairingLife+time.Second)) != "" {
		t.Error("an expired code is shown")
	}
	if old.Cancel(); old.Code(issued) != "" {
		t.Error("a cancelled code is shown")
	}
	if _, err := old.Receive(issued, phone, hello); chat.CodeOf(err) != chat.CodeDenied {
		t.Errorf("cancelled: %v", err)
	}
}

func TestCodesAreTypedAsPeopleType(t *testing.T) {
	for _, code := range []string{"12345678", "1234 5678", " 1234-5678 "} {
		p, _ := enter(t, code)
		if string(p.code) != "12345678" {
			t.Errorf("%q is %q", code, p.code)
		}
	}
	for _, code := range []string{"", "1234567", "123456789", "1234567a", "１２３４５６７８", strings.Repeat("1", 1000)} {
		if _, _, err := EnterCode(issued, seeded(""), phone, laptop, code, ""); chat.CodeOf(err) != chat.CodeUsage {
			t.Errorf("%q: %v", code, err)
		}
	}
	if _, _, err := EnterCode(issued, seeded(""), phone, laptop, "12345678", strings.Repeat("x", MaxLabel+1)); chat.CodeOf(err) != chat.CodeTooLong {
		t.Error(err)
	}
	if _, err := ShowCode(issued, seeded(""), Certificate{}); err == nil {
		t.Error("a code without a certificate")
	}
	// No code is likelier than another: what does not divide evenly is drawn again.
	code, err := newCode(bytes.NewReader([]byte{0xff, 0xff, 0xff, 0xff, 0, 0, 0, 7}))
	if err != nil || string(code) != "00000007" {
		t.Errorf("%s %v", code, err)
	}
}

func FuzzPairing(f *testing.F) {
	old, code := show(f)
	young, hello := enter(f, code)
	reply := pass(f, old, phone, hello)
	for _, m := range [][]byte{hello, reply, pass(f, young, laptop, reply)} {
		f.Add(m)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		fresh, _ := show(t)
		waits, _ := show(t)
		joins, hello := enter(t, "1234 5678") // not the code
		pass(t, waits, phone, hello)
		for _, p := range []*Pairing{fresh, waits, joins} {
			from := phone
			if p == joins {
				from = laptop
			}
			if _, err := p.Receive(issued, from, b); err != nil && chat.CodeOf(err) == chat.CodeInternal {
				t.Fatalf("error without code: %v", err)
			}
			if _, ok := p.Paired(); ok {
				t.Fatal("paired without the code")
			}
		}
	})
}

func TestTheTextOfAQRCodeNamesItsDevice(t *testing.T) {
	old, code := show(t)
	offer := old.Offer(issued)
	device, digits, err := ParseOffer("  " + offer + "\n")
	if err != nil || device != laptop || digits != strings.ReplaceAll(code, " ", "") {
		t.Fatalf("%q is read as %s, %q (%v)", offer, device.Short(), digits, err)
	}
	if device, _, err = ParseOffer(strings.ToLower(offer)); err != nil || device != laptop {
		t.Errorf("in small letters it is read as %s (%v)", device.Short(), err)
	}
	if device, digits, err = ParseOffer(code); err != nil || !device.IsZero() || len(digits) != 8 {
		t.Errorf("%q is read as %s, %q (%v)", code, device.Short(), digits, err)
	}
	for _, bad := range []string{"", "EARSHOT:PAIR:1:", "EARSHOT:PAIR:1:" + laptop.String(), offer[:len(offer)-1], offer + "1", "EARSHOT:PAIR:2" + offer[14:]} {
		if _, _, err := ParseOffer(bad); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
	_, hello := enter(t, code)
	pass(t, old, phone, hello)
	if got := old.Offer(issued); got != "" {
		t.Errorf("%q is shown on", got)
	}
}
